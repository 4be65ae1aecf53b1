"""What is likely to be said of an image, with the odds."""

import numpy as np
import pytest
from small_models import CAPTIONS, small_model

from keras_bidalle.evaluation import likeliest_captions, written_captions

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def model():
    return small_model("patch")


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), "uint8")


def test_odds_are_those_of_score_captions(model, image):
    # The last is the second in other letters.
    different = ["blue 5 .", *CAPTIONS]
    captions = [*different, CAPTIONS[0].upper()]
    told = []
    found = likeliest_captions(model, image, captions, 2, told.append)
    assert told == [2, 3]
    scores = model.score_captions(different, np.stack([image] * 3))
    order = np.argsort(-scores)
    assert [caption for caption, _ in found] == [different[i] for i in order]
    shares = np.exp(scores[order].astype("float64"))
    odds = [odds for _, odds in found]
    np.testing.assert_allclose(odds, shares / shares.sum(), rtol=1e-3)

    with pytest.raises(ValueError, match="`captions` must not be empty"):
        likeliest_captions(model, image, [])
    with pytest.raises(ValueError, match="outside the vocabulary: 'cow'"):
        likeliest_captions(model, image, ["red cow ."])


def test_written_captions_are_different_and_have_an_end(model, image):
    captions = written_captions(model, image, samples=20, seed=1)
    drawn = model.image_to_text(
        image[None], seed=1, temperature=1.0, num_samples=20
    )[0]
    ended = set(filter(model.caption_tokenizer.takes, drawn))
    likeliest = model.image_to_text(image[None])[0]
    assert ended and len(captions) == len(set(captions))
    assert ended <= {*captions} <= ended | {likeliest}
