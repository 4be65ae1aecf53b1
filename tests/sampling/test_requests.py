"""What callers give is checked before anything is drawn, on all backends."""

import json

import numpy as np
import pytest
from small_generators import small_generator
from small_models import CAPTIONS, small_model

from keras_bidalle.generators import row_uniforms

COUNT = 3
TEXT = np.array([[1, 5, 6, 7, 2, 0]] * COUNT, "int32")
CODES = np.arange(COUNT * 4).reshape(COUNT, 2, 2) % 7
NAN, INFINITE = float("nan"), float("inf")


@pytest.fixture(scope="module")
def generator():
    return small_generator(condition_dropout=0.1)


def refused(name, call, *arguments, **options):
    with pytest.raises((TypeError, ValueError), match=f"`{name}`") as told:
        call(*arguments, **options)
    message = str(told.value)
    assert len(message) <= 300 and message.isprintable()


@pytest.mark.parametrize(
    "codes",
    [
        CODES + 7,
        CODES - 1,
        CODES + 0.0,
        CODES.reshape(COUNT, 4),
        CODES[0],
        None,
        "codes",
        [[1], [2, 3]],
    ],
)
def test_codes_that_no_image_has(generator, codes):
    refused("codes", generator.generate_text, codes)
    refused("codes", generator.score_text, TEXT, codes)


@pytest.mark.parametrize(
    "text", [TEXT + 12, TEXT - 3, TEXT + 0.5, TEXT[:, :5], TEXT[0], None, "red"]
)
def test_text_that_no_caption_is(generator, text):
    refused("text", generator.generate_codes, text)
    refused("text", generator.score_text, text, CODES)


def test_captions_and_images_of_another_number(generator):
    refused("text", generator.score_text, TEXT[:2], CODES)
    refused("text", generator.score_text, TEXT, CODES[:2])


@pytest.mark.parametrize(
    "prime",
    [
        np.full((COUNT, 2, 1), -3),
        np.full((COUNT, 2, 1), 7),
        np.full((COUNT, 2, 1), 1.5),
        np.full((COUNT, 4, 1), 1),
        np.full((2, 2, 1), 1),
        "prime",
    ],
)
def test_primes_that_no_image_begins_with(generator, prime):
    refused("prime", generator.generate_codes, TEXT, prime=prime)


@pytest.mark.parametrize("value", [0, -1, None, 2.0, True, "2", NAN])
@pytest.mark.parametrize("name", ["batch_size", "num_samples"])
def test_counts_that_are_none(generator, name, value):
    refused(name, generator.generate_codes, TEXT, **{name: value})
    refused(name, generator.generate_text, CODES, **{name: value})
    if name == "batch_size":
        refused(name, generator.score_text, TEXT, CODES, batch_size=value)


def test_numbers_of_numpy_are_numbers(generator):
    options = {"batch_size": 2, "num_samples": 2, "top_k": 3}
    drawn = generator.generate_codes(TEXT, seed=5, **options)
    options = {name: np.int64(value) for name, value in options.items()}
    again = generator.generate_codes(TEXT, seed=np.uint8(5), **options)
    np.testing.assert_array_equal(again, drawn)


@pytest.mark.parametrize(
    "name,value",
    [
        ("guidance_scale", INFINITE),
        ("guidance_scale", 3e38),
        ("guidance_scale", 1e39),
        ("guidance_scale", NAN),
        ("temperature", INFINITE),
        ("temperature", 1e-40),
        ("temperature", -0.1),
        ("temperature", [1.0, None, 1.0]),
        ("temperature", "hot"),
        ("top_k", 2**32 + 1),
        ("top_k", 2**70),
        ("top_k", 1.5),
        ("top_p", 1e-50),
        ("min_p", 1e-40),
        ("min_p", np.full(100, 0.5)),
    ],
)
def test_settings_that_float32_or_int32_cannot_hold(generator, name, value):
    refused(name, generator.generate_codes, TEXT, **{name: value})
    refused(name, generator.generate_text, CODES, **{name: value})


def test_a_stream_has_one_sample_a_row(generator):
    with pytest.raises(TypeError, match="num_samples"):
        generator.stream_codes(TEXT, num_samples=2)


def test_none_is_the_default(generator):
    names = ("temperature", "top_k", "top_p", "min_p", "guidance_scale")
    np.testing.assert_array_equal(
        generator.generate_codes(TEXT, **dict.fromkeys(names)),
        generator.generate_codes(TEXT),
    )


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, [1, 2], None, "x", NAN])
def test_seeds_that_are_none(generator, seed):
    refused("seed", generator.generate_codes, TEXT, seed=seed)


def test_large_seeds_are_not_small_ones_with_another_sample():
    def numbers(*seeds):
        return row_uniforms(seeds, (4,)).round(6).tolist()

    small = [(s, j) for s in (0, 5) for j in range(4)]
    large = [(2**32 * k + s, j) for k in (1, 2, 3) for s, j in small]
    assert len({tuple(row) for row in numbers(*small, *large)}) == len(
        small + large
    )
    # Small ones are those of all versions before.
    np.testing.assert_allclose(
        numbers((5, 1), 2**32 - 1),
        [
            np.random.Generator(
                np.random.Philox(np.random.SeedSequence(seed))
            ).random(4, dtype="float32")
            for seed in ((5, 1), 2**32 - 1)
        ],
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "legal", [np.zeros(5), np.full(18, NAN), np.full(18, -1e9), "words"]
)
def test_no_caption_could_be_written_with(generator, legal):
    refused("legal", generator.generate_text, CODES, legal=legal)


def test_several_captions_of_an_image_differ(generator):
    (greedy,) = generator.generate_text(CODES[:1])
    several = generator.generate_text(CODES[:1], num_samples=8)
    assert len({tuple(row) for row in several}) > 1
    # Where it is asked for, they are all the likeliest.
    alike = generator.generate_text(CODES[:1], num_samples=2, temperature=0)
    np.testing.assert_array_equal(alike, [greedy, greedy])


def test_own_defaults_are_taken_where_a_call_says_nothing(generator):
    wanted = generator.generate_codes(TEXT, guidance_scale=3.0, top_k=2)
    plain = generator.generate_codes(TEXT)
    generator.sampling_defaults = {
        "text_to_image": {"guidance_scale": 3.0, "top_k": 2}
    }
    try:
        np.testing.assert_array_equal(generator.generate_codes(TEXT), wanted)
        (*_, (streamed, _)) = generator.stream_codes(TEXT)
        np.testing.assert_array_equal(streamed, wanted)
        np.testing.assert_array_equal(
            generator.generate_codes(TEXT, guidance_scale=1.0, top_k=7), plain
        )
    finally:
        generator.sampling_defaults = {}


@pytest.mark.parametrize(
    "defaults",
    [
        {"text_to_image": {"top_k": 0}},
        {"text_to_image": {"top_k": [1, 2]}},
        {"images": {}},
        {"text_to_image": 3},
        # One value a row: of how many rows is not known.
        {"text_to_image": {"top_k": [2]}},
        {"text_to_image": {"temperature": 1e9}},
    ],
)
def test_wrong_defaults_are_refused(generator, defaults):
    message = "top_k|sampling_defaults|temperature"
    with pytest.raises(ValueError, match=message):
        generator.sampling_defaults = defaults


def test_defaults_are_changed_as_a_whole(generator):
    generator.sampling_defaults = {
        "text_to_image": {"temperature": np.float32(0.5)}
    }
    try:
        json.dumps(dict(generator.sampling_defaults["text_to_image"]))
        with pytest.raises(TypeError, match="does not support item"):
            generator.sampling_defaults["text_to_image"]["temperature"] = 1.0
    finally:
        generator.sampling_defaults = {}


@pytest.mark.parametrize("captions", [None, 3, [None], [3], [["a"]]])
def test_captions_are_text(captions):
    model = small_model("plain")
    for draw in (model.text_to_image, model.stream_text_to_image):
        with pytest.raises(TypeError, match="`captions"):
            draw(captions)


@pytest.mark.parametrize("dtype,by", [("int64", 0), ("float32", 255)])
def test_a_prime_of_other_values_is_refused(dtype, by):
    prime = np.full((1, 8, 16, 3), by, dtype)
    with pytest.raises((TypeError, ValueError), match="`prime`"):
        small_model("plain").text_to_image(CAPTIONS[0], prime=prime)
