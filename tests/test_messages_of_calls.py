"""Whatever a call is given: its error is one short printable line."""

import types

import pytest
from hostile_values import VALUES, told

from keras_bidalle import validation
from keras_bidalle.captions import CaptionTokenizer, ClassNames
from keras_bidalle.captions.pipelines import pair_pipeline, word_pipeline
from keras_bidalle.converters.captions import read_vocabulary
from keras_bidalle.converters.configs import read_config
from keras_bidalle.converters.containers import read_content
from keras_bidalle.data import (
    CenterCrop,
    ImageFolder,
    ImageTextFolder,
    TarImages,
    captioned_folder,
    open_image,
    read_captions,
)
from keras_bidalle.data.crops import crop_named
from keras_bidalle.files import replaceable
from keras_bidalle.presets.files import preset_file
from keras_bidalle.presets.safety import check_config
from keras_bidalle.sampling import requests, settings
from keras_bidalle.sampling.settings import TEXT_TO_IMAGE

pytestmark = pytest.mark.any_backend


WORDS = CaptionTokenizer.from_words(["red", "3", "."], max_length=8)
PAIRS = CaptionTokenizer.from_captions(["red 3"], 40, max_length=8)
CLASSES = ClassNames(["cats", "dogs"])
NUMBERS = ClassNames(vocabulary_size=3)
# What the checks of a generator's calls ask of it.
GENERATOR = types.SimpleNamespace(
    text_length=8,
    text_vocabulary_size=5,
    condition_dropout=0.1,
    codes_per_position=1,
    sampling_defaults={},
    captions=types.SimpleNamespace(text_classes=13, legal=lambda: None),
    head=types.SimpleNamespace(codes_per_position=1, codebook_limits=7),
    layout=types.SimpleNamespace(num_positions=4, grid=(2, 2)),
)


def a_setting(name):
    return lambda value: settings.checked_settings(
        {name: value}, TEXT_TO_IMAGE, 3, GENERATOR
    )


def an_option(name):
    return lambda value: requests.Request(
        TEXT_TO_IMAGE, 3, 0, {name: value}, GENERATOR
    )


CALLS = {
    **{f"encode, {t.__class__.__name__}": t.encode for t in (WORDS, CLASSES)},
    "encode one": lambda value: WORDS.encode([value]),
    "encode pairs": lambda value: PAIRS.encode([value]),
    "dropout": lambda value: PAIRS.encode(["red"], dropout=value),
    "encode a class": lambda value: CLASSES.encode([value]),
    "encode a number": lambda value: NUMBERS.encode([value]),
    "classes": ClassNames,
    "number of classes": lambda value: ClassNames(None, value),
    "vocabulary": lambda value: CaptionTokenizer(value, 8),
    "max_length": lambda value: CaptionTokenizer(WORDS.tokenizer_json, value),
    "words": word_pipeline,
    "vocabulary_size": lambda value: pair_pipeline(["red"], value),
    "images of a folder": ImageFolder,
    "images with captions": ImageTextFolder,
    "a folder of anything": captioned_folder,
    "a tar": TarImages,
    "a table": read_captions,
    "an image": open_image,
    "a crop's name": lambda value: crop_named(value, (4, 4), {}),
    "a crop": CenterCrop,
    "a preset": lambda value: preset_file(value, "config.json"),
    "a preset's configuration": lambda value: check_config(
        {"class_name": value, "config": {}, "module": "keras"}
    ),
    "a folder to write": lambda value: replaceable(__file__, value),
    "a checkpoint": read_content,
    "a configuration": read_config,
    "a vocabulary's files": lambda value: read_vocabulary(value, 8),
    **{f"the setting {name}": a_setting(name) for name in settings.SETTINGS},
    **{
        f"the option {name}": an_option(name)
        for name in ("num_samples", "batch_size", "decoder")
    },
    "defaults": lambda value: settings.checked_defaults(
        {value if isinstance(value, str) else "x": value}, GENERATOR
    ),
    "a seed": lambda value: requests.checked_seeds(value, 3),
    "tokens": lambda value: requests.checked_text(value, GENERATOR),
    "a prime": lambda value: requests.checked_prime(value, 3, GENERATOR),
    "legal tokens": lambda value: requests.checked_legal(value, GENERATOR),
    "a count": lambda value: validation.check_positive(count=value),
    "a count from 0": lambda value: validation.check_count(count=value),
    "integers": lambda value: validation.as_integers(sizes=value),
    "a flag": lambda value: validation.check_flag(flag=value),
    "a weight": lambda value: validation.check_at_least(weight=value),
    "a loss": lambda value: validation.check_own_loss(loss=value),
    "codes": lambda value: validation.as_codes(value, (2, 2), 7),
    "codes of depths": lambda value: validation.as_codes(value, (2,), (7, 5)),
    "pictures": lambda value: validation.as_model_images(value, (4, 4, 3)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", VALUES)
def test_an_error_is_one_short_printable_line(name, kind):
    told(CALLS[name], VALUES[kind])
