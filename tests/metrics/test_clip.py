"""CLIP's scores, by a small backbone with random weights."""

import numpy as np
import pytest

from keras_bidalle.metrics.extractors import CLIP

pytest.importorskip("keras_hub")
from small_clip import small_clip  # isort: split


@pytest.fixture(scope="module")
def clip():
    return small_clip()


def test_scores_are_of_pairs(clip):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(3, 20, 24, 3), dtype="uint8")
    captions = ["a cat", "two dogs that are far too many words", "bird"]
    cosines = clip.cosines(captions, images)
    assert cosines.shape == (3,) and (abs(cosines) <= 1.0 + 1e-6).all()
    for i in range(3):
        alone = clip.cosines(captions[i : i + 1], images[i : i + 1])
        np.testing.assert_allclose(alone, cosines[i : i + 1], atol=1e-5)
    scores = clip.clip_score(captions, images)
    assert (scores >= 0).all() and (scores <= 2.5).all()
    prompts = [f"A photo depicts {text}" for text in captions]
    expected = 2.5 * np.maximum(clip.cosines(prompts, images), 0)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_missing_weights_are_told(tmp_path):
    with pytest.raises(ValueError, match="keras-hub preset"):
        CLIP.from_preset(str(tmp_path / "none"))
