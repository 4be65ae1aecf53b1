"""The table of settings, and what follows it."""

import inspect
import typing

import keras
import numpy as np
import pytest

from keras_bidalle import TextImageModel
from keras_bidalle.generators import BidirectionalTransformer
from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    SEED,
    SETTINGS,
    TEXT_TO_IMAGE,
    checked_settings,
    without_neutral,
)


class Generator:
    codes_per_position = 3
    condition_dropout = 0.1
    sampling_defaults: dict = {}


def test_the_table_holds_the_settings_in_their_order():
    assert list(SETTINGS) == [
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "guidance_scale",
    ]


@pytest.mark.parametrize("setting", [SEED, *SETTINGS.values()])
def test_each_entry_agrees_with_itself(setting):
    def within(values):
        values = np.array(values, setting.dtype)
        return setting.within(values) | (
            values == setting.neutral
            if setting.neutral is not None
            else np.zeros(len(values), bool)
        )

    assert len(setting.examples) == 3 and within(setting.examples).all()
    assert not within(setting.wrong()).any()
    assert within(list(setting.defaults.values())).all()
    if setting.kind is float:
        assert not within([np.nan, np.inf, -np.inf]).any()


@pytest.mark.parametrize(
    "function,direction",
    [
        (BidirectionalTransformer.generate_codes, TEXT_TO_IMAGE),
        (BidirectionalTransformer.stream_codes, TEXT_TO_IMAGE),
        (BidirectionalTransformer.generate_text, IMAGE_TO_TEXT),
        (TextImageModel.text_to_image, TEXT_TO_IMAGE),
        (TextImageModel.stream_text_to_image, TEXT_TO_IMAGE),
        (TextImageModel.image_to_text, IMAGE_TO_TEXT),
    ],
)
def test_calls_show_their_settings_in_signature_and_help(function, direction):
    parameters = inspect.signature(function).parameters
    for name, setting in SETTINGS.items():
        assert parameters[name].default == setting.defaults.get(direction)
        assert f"            {name}: {setting.kind.__name__}, " in (
            function.__doc__
        )
    assert "{settings}" not in function.__doc__
    assert all(len(line) <= 80 for line in function.__doc__.splitlines())
    # Type checkers see them too.
    kind = function.__annotations__.get(
        "options", function.__annotations__.get("settings")
    )
    (taken,) = typing.get_args(kind)
    assert SETTINGS.keys() <= typing.get_type_hints(taken).keys()


def test_defaults_depend_on_the_direction():
    for direction, temperature in ((TEXT_TO_IMAGE, 1.0), (IMAGE_TO_TEXT, 0.0)):
        found = checked_settings({"top_k": None}, direction, 2, Generator())
        assert list(found) == ["temperature"]
        np.testing.assert_array_equal(found["temperature"], [temperature] * 2)
        assert found["temperature"].dtype == np.float32


def test_one_filter_brings_all_filters_where_programs_are_compiled():
    found = checked_settings({"top_p": 0.5}, TEXT_TO_IMAGE, 2, Generator())
    filters = {n: s for n, s in SETTINGS.items() if s.neutral is not None}
    if keras.config.backend() == "torch":
        filters = {"top_p": filters["top_p"]}
    assert set(found) == {"temperature", *filters}
    for name, setting in filters.items():
        value = 0.5 if name == "top_p" else setting.neutral
        np.testing.assert_array_equal(
            found[name], np.full(2, value, setting.dtype)
        )


def test_codes_of_a_stack_have_values_of_their_own_only_in_pictures():
    each = {"top_k": [[1, 2, 3]]}
    found = checked_settings(each, TEXT_TO_IMAGE, 2, Generator())
    np.testing.assert_array_equal(found["top_k"], [[1, 2, 3]] * 2)
    wrong = r"`top_k` must be at least 1 and below 2\^31, one"
    with pytest.raises(ValueError, match=wrong):
        checked_settings(each, IMAGE_TO_TEXT, 2, Generator())


def test_rows_that_are_to_follow_as_trained_pay_for_no_guidance():
    model = Generator()
    model.sampling_defaults = {TEXT_TO_IMAGE: {"guidance_scale": 2.0}}

    def chosen(scale):
        given = {"guidance_scale": scale}
        return checked_settings(given, TEXT_TO_IMAGE, 2, model)

    assert "guidance_scale" not in chosen(1.0)
    assert "guidance_scale" not in chosen([1.0, 1.0])
    np.testing.assert_array_equal(chosen([1.0, 3.0])["guidance_scale"], [1, 3])
    assert "guidance_scale" in chosen(None)


def test_filters_that_keep_everything_are_left_out():
    neutral = {name: setting.neutral for name, setting in SETTINGS.items()}
    assert without_neutral(neutral) == {}
    given = {"temperature": 0.0, "top_k": 3, "guidance_scale": 1.0}
    assert without_neutral(given) == given


def test_a_model_s_own_defaults_are_told_in_words():
    own = {TEXT_TO_IMAGE: {"top_k": 25, "guidance_scale": 2.0}}
    for name, plain, told in (
        ("temperature", "1 for pictures, 0 for captions", None),
        ("top_k", "0, which keeps all", "25 for pictures, 0 for captions"),
        ("guidance_scale", "", "2 for pictures"),
    ):
        setting = SETTINGS[name]
        assert setting.default_text({}) == (plain and f"Default: {plain}")
        assert setting.default_text(own) == f"Default: {told or plain}"
    assert SEED.default_text({}) == "Default: 0"
