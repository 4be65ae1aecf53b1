"""Figures that published packages gave: see reference/make.py."""

import json
import pathlib
import sys

import keras
import numpy as np
import pytest

from keras_bidalle import metrics
from keras_bidalle.converters import extractors as converters
from keras_bidalle.metrics.extractors import fid_inception, resized

FOLDER = pathlib.Path(__file__).parent / "reference"
FIGURES = json.loads((FOLDER / "figures.json").read_text())
sys.path.insert(0, str(FOLDER))

import inputs  # noqa: E402


def test_words_are_those_of_the_java_tokenizer():
    for caption, words in FIGURES["words"].items():
        found = " ".join(metrics.caption_words(caption))
        assert found == " ".join(words.split()), caption


def test_bleu_rouge_and_cider():
    rows = inputs.CANDIDATES, inputs.REFERENCES
    np.testing.assert_allclose(metrics.bleu(*rows), FIGURES["bleu"], rtol=1e-9)
    np.testing.assert_allclose(
        metrics.rouge_l(*rows), FIGURES["rouge_l"], rtol=1e-9
    )
    np.testing.assert_allclose(
        metrics.cider_d(*rows), FIGURES["cider_d"], rtol=1e-9, atol=1e-12
    )


def test_distances():
    real, fake = inputs.features(0, 300), inputs.features(1, 200, shift=0.1)
    np.testing.assert_allclose(
        metrics.frechet_distance(real, fake), FIGURES["frechet"], rtol=1e-6
    )
    # Fewer features than dimensions: the package adds 1e-6 to rescue it.
    np.testing.assert_allclose(
        metrics.frechet_distance(real[:16], fake),
        FIGURES["frechet_few"],
        rtol=1e-4,
    )
    kernel, _ = metrics.kernel_distance(real[:200], fake)
    np.testing.assert_allclose(kernel, FIGURES["kernel"], rtol=1e-6)


def test_inception_score():
    logits = inputs.logits().astype("float64")
    powers = np.exp(logits)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    found = metrics.inception_score(probabilities, splits=4)
    np.testing.assert_allclose(found, FIGURES["inception_score"], rtol=1e-6)


def test_neighbors():
    real, fake = inputs.features(0, 300), inputs.features(1, 200, shift=0.1)
    found = {
        **metrics.precision_recall(real, fake, 5),
        **metrics.density_coverage(real, fake, 5),
    }
    for name, value in FIGURES["prdc"].items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


def test_ssim():
    pictures = inputs.pictures()
    found = keras.ops.convert_to_numpy(metrics.ssim(pictures, pictures[::-1]))
    np.testing.assert_allclose(found, FIGURES["ssim"], atol=1e-4)


@pytest.mark.parametrize("rule", ["tf1", "torch", "clean"])
def test_resizing(rule):
    found = resized(inputs.pictures()[:1], 299, rule)[0, 7::71, 3::59]
    np.testing.assert_allclose(
        found.transpose(2, 0, 1), FIGURES["resized"][rule], atol=2e-3
    )


def test_the_inception_network_of_fid():
    state_dict = inputs.inception_state_dict(FIGURES["shapes"])
    arrays = converters.fid_inception_of_state_dict(state_dict)
    extractor = fid_inception(arrays, "tf1", "random")
    found = extractor(inputs.pictures())
    assert extractor.frechet_name == "fid"
    scale = np.abs(FIGURES["inception_features"]).max()
    np.testing.assert_allclose(
        found.features[:, ::37],
        FIGURES["inception_features"],
        atol=1e-4 * scale,
    )
    logits = np.log(found.probabilities)
    # Up to a number a row, which the softmax does not see.
    steps = logits[:, ::37] - np.asarray(FIGURES["inception_logits"])
    assert np.ptp(steps, axis=1).max() < 1e-3
