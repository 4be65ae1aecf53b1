import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_generators import fitting_generator

import keras_bidalle
from keras_bidalle import TextImageModel
from keras_bidalle.generators import PatchBidirectionalTransformer
from keras_bidalle.image_tokenizers import PatchVQGAN
from keras_bidalle.quantizers import VectorQuantizer
from keras_bidalle.tasks.mnist64 import caption_grammar, grammar_tokenizer

CAPTIONS = ["red 3 on the upper left .", "the number is green 7 ."]


def make_model(**generator_options):
    captions = grammar_tokenizer(caption_grammar("mnist"))
    images = PatchVQGAN(
        VectorQuantizer(16, 8),
        image_shape=(32, 32, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    )
    options = {"condition_dropout": 0.1, "rotary": True, **generator_options}
    generator = fitting_generator(
        PatchBidirectionalTransformer,
        images,
        captions,
        depth=2,
        patch_head_width=8,
        **options,
    )
    return TextImageModel(images, captions, generator)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return make_model()


def test_captions_become_pictures_and_pictures_captions(model):
    images = model.text_to_image(CAPTIONS, seed=0)
    assert images.shape == (2, 32, 32, 3) and images.dtype == np.uint8
    texts = model.image_to_text(images)
    assert len(texts) == 2 and all(isinstance(text, str) for text in texts)


def test_a_seed_gives_the_same_picture_alone_and_in_a_batch(model):
    together = model.text_to_image(CAPTIONS, seed=[3, 4], top_k=5)
    again = model.text_to_image(CAPTIONS, seed=[3, 4], top_k=5)
    np.testing.assert_array_equal(together, again)
    for i in range(2):
        alone = model.text_to_image(CAPTIONS[i], seed=3 + i, top_k=5)
        np.testing.assert_array_equal(alone[0], together[i])
    written = model.image_to_text(together, seed=[5, 6], temperature=1.0)
    for i in range(2):
        alone = model.image_to_text(
            together[i : i + 1], seed=5 + i, temperature=1.0
        )
        assert alone == [written[i]]


def test_other_seeds_and_samples_give_other_pictures(model):
    first, second = model.text_to_image([CAPTIONS[0]] * 2, seed=[0, 1])
    assert (first != second).any()
    samples = model.text_to_image(CAPTIONS, seed=0, num_samples=3)
    assert samples.shape == (2, 3, 32, 32, 3)
    assert (samples[0, 0] != samples[0, 1]).any()
    np.testing.assert_array_equal(
        samples[:, 0], model.text_to_image(CAPTIONS, seed=0)
    )
    texts = model.image_to_text(samples[:, 0], num_samples=2)
    assert [len(row) for row in texts] == [2, 2]


def test_progress_is_told_in_samples(model):
    told = []
    images = model.text_to_image(
        CAPTIONS, num_samples=2, batch_size=2, progress=told.append
    )
    assert told == [2, 4]
    told.clear()
    model.image_to_text(images[:, 0], progress=told.append)
    assert told == [2]


def test_settings_may_differ_from_row_to_row(model):
    mixed = model.text_to_image(
        [CAPTIONS[0]] * 2,
        seed=0,
        temperature=[0.0, 1.0],
        top_p=[1.0, 0.9],
        guidance_scale=[1.0, 3.0],
    )
    greedy = model.text_to_image(
        CAPTIONS[0], seed=7, temperature=0.0, top_p=1.0, guidance_scale=1.0
    )
    np.testing.assert_array_equal(mixed[0], greedy[0])


def test_a_prime_is_the_top_of_the_picture(model):
    whole = model.text_to_image(CAPTIONS, seed=0)
    codes = model.image_tokenizer.encode(whole)
    primed = model.text_to_image(CAPTIONS, seed=9, prime=whole[:, :16])
    assert primed.shape == whole.shape
    # Locality keeps the part away from the cut as it was.
    expected = model.image_tokenizer.decode(codes)[:, :4]
    np.testing.assert_allclose(
        primed[:, :4] / 127.5 - 1.0, expected, atol=0.01 + 1 / 127.5
    )


@pytest.mark.parametrize("rows", [7, 0, 32])
def test_a_prime_of_a_wrong_height_is_refused(model, rows):
    prime = np.zeros((2, rows, 32, 3), "uint8")
    with pytest.raises(ValueError, match="`prime` must have shape"):
        model.text_to_image(CAPTIONS, prime=prime)


@pytest.mark.parametrize(
    "settings,name",
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"guidance_scale": -0.1}, "guidance_scale"),
        ({"temperature": [1.0, 1.0, 1.0]}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"num_samples": 0}, "num_samples"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(model, settings, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        model.text_to_image(CAPTIONS, **settings)


def test_an_unknown_setting_is_refused(model):
    with pytest.raises(TypeError, match="topk.*temperature, top_k"):
        model.text_to_image(CAPTIONS, topk=3)


@pytest.mark.parametrize(
    "captions,message",
    [
        ([""], "empty"),
        (["red 3 on the upper left ."] * 1 + ["a purple cow"], "purple"),
        ([" , ".join(["red 3 on the upper left"] * 9)], "long"),
    ],
)
def test_bad_captions_are_refused(model, captions, message):
    with pytest.raises(ValueError, match=message):
        model.text_to_image(captions)


def test_bad_pictures_are_refused(model):
    good = np.zeros((1, 32, 32, 3), "uint8")
    for bad, error in (
        (np.zeros((1, 16, 16, 3), "uint8"), ValueError),
        (good[0], ValueError),
        (good.astype("float32") + 200.0, ValueError),
        (good.astype("int64"), TypeError),
    ):
        with pytest.raises(error, match="`images` must"):
            model.image_to_text(bad)


def test_guidance_needs_a_generator_that_was_trained_for_it():
    plain = make_model(condition_dropout=0.0)
    with pytest.raises(ValueError, match="condition_dropout"):
        plain.text_to_image(CAPTIONS, guidance_scale=2.0)


def test_parts_that_do_not_fit_are_refused(model):
    captions = grammar_tokenizer(caption_grammar("fashion_mnist"))
    with pytest.raises(ValueError, match="was made for"):
        TextImageModel(model.image_tokenizer, captions, model.generator)


READ = """
import json, sys
import numpy as np
import keras, keras_bidalle
folder, file = sys.argv[1:]
load = keras.saving.load_model if file.endswith(".keras") else (
    keras_bidalle.load)
model = load(folder + "/" + file)
images = model.text_to_image(
    json.loads(sys.stdin.read()), seed=[1, 2], temperature=0.0)
print(json.dumps([images.tolist(), model.image_to_text(images)]))
"""


@pytest.mark.parametrize("file", ["preset", "model.keras"])
def test_a_saved_model_answers_alike_under_another_backend(
    model, tmp_path, file
):
    images = model.text_to_image(CAPTIONS, seed=[1, 2], temperature=0.0)
    if file == "preset":
        model.save_to_preset(tmp_path / file)
    else:
        model.save(tmp_path / file)
    other = {"jax": "torch"}.get(keras.config.backend(), "jax")
    result = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path), file],
        input=json.dumps(CAPTIONS),
        env={**os.environ, "KERAS_BACKEND": other},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    pictures, texts = json.loads(result.stdout.splitlines()[-1])
    # Rounding to uint8 may fall either way.
    assert np.abs(np.array(pictures) - images.astype(int)).max() <= 1
    assert texts == model.image_to_text(images)


def test_a_preset_in_half_precision_takes_half_the_space(model, tmp_path):
    model.save_to_preset(tmp_path / "whole")
    model.save_to_preset(tmp_path / "half", half_precision=True)
    loaded = keras_bidalle.load(tmp_path / "half")
    for ours, theirs in zip(
        model.get_weights(), loaded.get_weights(), strict=True
    ):
        assert theirs.dtype == ours.dtype
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-6)
    sizes = [
        sum(w.nbytes for w in model.get_weights()),
        *(
            (tmp_path / name / "model.weights.h5").stat().st_size
            for name in ("whole", "half")
        ),
    ]
    assert sizes[1] - sizes[2] > 0.4 * sizes[0]


def test_the_best_of_several_pictures_are_kept(model):
    drawn = model.text_to_image(CAPTIONS, seed=0, num_samples=3)
    chosen = model.text_to_image(
        CAPTIONS,
        seed=0,
        best_of=3,
        num_samples=2,
        scorer=lambda captions, images: images.mean(axis=(1, 2, 3)),
    )
    assert chosen.shape == (2, 2, 32, 32, 3)
    for row, kept in zip(drawn, chosen, strict=True):
        order = np.argsort(-row.mean(axis=(1, 2, 3)))
        np.testing.assert_array_equal(kept, row[order[:2]])
    # By default the model itself is asked.
    best = model.text_to_image(CAPTIONS, seed=0, best_of=3)
    for caption, row, kept in zip(CAPTIONS, drawn, best, strict=True):
        scores = model.score_captions([caption] * 3, row)
        np.testing.assert_array_equal(kept, row[scores.argmax()])
    with pytest.raises(ValueError, match="best_of=1"):
        model.text_to_image(CAPTIONS, best_of=1, num_samples=2)
    with pytest.raises(ValueError, match="needs `best_of`"):
        model.text_to_image(CAPTIONS, scorer=len)


def test_the_best_of_several_captions_are_kept(model):
    images = model.text_to_image(CAPTIONS, seed=0)
    common = {"seed": 5, "temperature": 1.0}
    written = model.image_to_text(images, num_samples=4, **common)
    scored = []

    def shortest(captions, pictures):
        scored.append((captions, pictures))
        return [-len(text) for text in captions]

    kept = model.image_to_text(
        images, num_samples=2, best_of=4, scorer=shortest, **common
    )
    assert kept == [sorted(row, key=len)[:2] for row in written]
    ((captions, pictures),) = scored
    assert captions == [text for row in written for text in row]
    np.testing.assert_array_equal(pictures, np.repeat(images, 4, axis=0))
    # By default the model itself is asked, of captions that end.
    best = model.image_to_text(images, best_of=4, **common)
    for image, row, text in zip(images, written, best, strict=True):
        ended = [text for text in row if len(text.split()) <= 29]
        if not ended:
            assert text == row[0]
            continue
        scores = model.score_captions(ended, np.stack([image] * len(ended)))
        assert text == ended[scores.argmax()]


def test_a_score_is_the_log_likelihood_of_the_caption(model):
    images = model.text_to_image(CAPTIONS, seed=0)
    text = model.caption_tokenizer.encode(CAPTIONS)
    outputs = model(
        {
            "text": text,
            "codes": model.image_tokenizer.encode(images),
            "text_to_image": np.zeros(2, bool),
        }
    )
    logits = keras.ops.convert_to_numpy(outputs["text_logits"])
    logits = logits.astype("float64")
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    expected = [
        sum(
            np.log(shares[row, place, token])
            for place, token in enumerate(text[row, 1:])
            if token != model.generator.captions.pad_id
        )
        for row in range(2)
    ]
    scores = model.score_captions(CAPTIONS, images)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_a_picture_is_streamed_row_by_row(model):
    settings = {"seed": [3, 4], "top_k": 5, "guidance_scale": 2.0}
    whole = model.text_to_image(CAPTIONS, **settings)
    grown = list(model.stream_text_to_image(CAPTIONS, **settings))
    assert len(grown) == 4
    np.testing.assert_array_equal(grown[-1], whole)
    for rows, pictures in enumerate(grown[:-1], 1):
        assert (pictures[:, 8 * rows :] == 128).all()
        assert (pictures[:, 8 * rows - 8 : 8 * rows] != 128).any()
    text = model.caption_tokenizer.encode(CAPTIONS)
    codes = model.generator.generate_codes(text, **settings)
    for drawn, rows in model.generator.stream_codes(text, **settings):
        np.testing.assert_array_equal(
            drawn[:, : 2 * rows], codes[:, : 2 * rows]
        )
        assert not drawn[:, 2 * rows :].any()
    with pytest.raises(ValueError, match="temperature"):
        model.stream_text_to_image(CAPTIONS, temperature=-1.0)
    # One that continues a given top part.
    primed = {"prime": whole[:, :16], "seed": 5}
    *_, last = model.stream_text_to_image(CAPTIONS, **primed)
    np.testing.assert_array_equal(last, model.text_to_image(CAPTIONS, **primed))
