"""Presets of format 1, when a generator had no parts, are read as before.

`format_1.zip` was written by version 0.1.0, on PyTorch: a preset with seeded
random weights of each published generator, and in `answers.npz` what these
and the shipped preset gave.
"""

import pathlib
import zipfile

import numpy as np
import pytest
from keras import ops

import keras_bidalle

NAMES = ["bidirectional", "patch", "rq"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format_1")
    path = pathlib.Path(__file__).with_name("format_1.zip")
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def answers(folder):
    with np.load(folder / "answers.npz") as file:
        return dict(file)


def called(generator, text, codes):
    direction = np.array([True, False])
    outputs = generator(
        {"text": text, "codes": codes, "text_to_image": direction}
    )
    return {
        name: ops.convert_to_numpy(outputs[f"{name}_logits"])
        for name in ("text", "image")
    }


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_generator_gives_the_same_logits_codes_and_captions(
    folder, answers, name
):
    generator = keras_bidalle.load(folder / name)
    text, codes = answers["text"], answers[f"{name}/codes"]
    logits = called(generator, text, codes)
    close(logits["text"], answers[f"{name}/text_logits"])
    close(logits["image"], answers[f"{name}/image_logits"])
    np.testing.assert_array_equal(
        generator.generate_codes(text, seed=[3, 4], top_k=3),
        answers[f"{name}/drawn_codes"],
    )
    np.testing.assert_array_equal(
        generator.generate_text(codes, seed=[3, 4], temperature=1.0),
        answers[f"{name}/drawn_text"],
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_is_saved_in_the_format_of_today(folder, answers, name, tmp_path):
    generator = keras_bidalle.load(folder / name)
    generator.save_to_preset(tmp_path / name)
    again = keras_bidalle.load(tmp_path / name)
    assert again.get_config() == generator.get_config()
    logits = called(again, answers["text"], answers[f"{name}/codes"])
    close(logits["image"], answers[f"{name}/image_logits"])


def test_the_shipped_model_draws_the_same_codes(answers):
    model = keras_bidalle.load("bidalle-mnist")
    generator, codes = model.generator, answers["mnist/drawn_codes"]
    captions = ["red 3 on the upper left .", "the number is green 7 ."]
    text = model.caption_tokenizer.encode(captions)
    drawn = generator.generate_codes(
        text, seed=[0, 1], temperature=0.9, top_k=25, guidance_scale=1.5
    )
    np.testing.assert_array_equal(drawn, codes)
    np.testing.assert_array_equal(
        generator.generate_text(codes), answers["mnist/drawn_text"]
    )
    logits = called(generator, text, codes.astype("int32"))
    close(logits["image"][:, ::9, :, ::16], answers["mnist/image_logits"])
    close(logits["text"][:, ::5, ::7], answers["mnist/text_logits"])
