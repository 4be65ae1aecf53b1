import random

import keras
import numpy as np
import pytest

from keras_bidalle import configurations

# What the papers say, in weights.
PUBLISHED = {
    "dalle-12b": 12e9,
    "mindalle-1.3b": 1.3e9,
    "biart-500m": 500e6,
    # arXiv 2203.01941, the table of RQ-Transformers; the README of the
    # released program repeats them.
    "rq-transformer-ffhq-355m": 355e6,
    "rq-transformer-church-370m": 370e6,
    "rq-transformer-lsun-612m": 612e6,
    "rq-transformer-imagenet-480m": 480e6,
    "rq-transformer-imagenet-821m": 821e6,
    "rq-transformer-imagenet-1.4b": 1.4e9,
    "rq-transformer-imagenet-3.8b": 3.8e9,
    "rq-transformer-cc3m-654m": 654e6,
}
# The papers round to two digits or more, and within 2% the counts agree;
# but for "12 billion". The shape published beside it (64 layers of width
# 3968) has 12.09 billion in its blocks alone, and 12.29 with a table and a
# classifier of 16384 + 8192 tokens, 2.4% more than 12.
ROUNDED = {"dalle-12b": 0.025}
SMALL = {"width": 24, "depth": 4, "num_heads": 2, "head_dim": 12}


@pytest.mark.parametrize("name", PUBLISHED)
def test_models_have_as_many_weights_as_published(name):
    count = configurations.count_params(*configurations.generator(name))
    np.testing.assert_allclose(
        count, PUBLISHED[name], rtol=ROUNDED.get(name, 0.02)
    )


@pytest.mark.parametrize("name", configurations.generator_names())
def test_the_count_is_that_of_the_model(name):
    cls, arguments = configurations.generator(name)
    code_shape = (4, 6, *arguments["code_shape"][2:])
    small = {
        **arguments,
        **SMALL,
        "text_length": 5,
        "code_shape": code_shape,
        "num_codes": 9,
        "text_vocabulary_size": 11,
        "attention": arguments.get("attention", ("full",))[-4:],
        "start_id": 1,
        "end_id": 2,
    }
    state = random.getstate()
    count = configurations.count_params(cls, small)
    assert random.getstate() == state
    model = cls(**small)
    assert count == model.count_params()
    # Nothing of the counted model is left for a later one to fill.
    with keras.StatelessScope():
        pass
    outputs = model(
        {
            "text": np.array([[1, 5, 6, 2, 0]]),
            "codes": np.zeros((1, *code_shape), "int32"),
            "text_to_image": np.array([True]),
        }
    )
    assert np.isfinite(
        keras.ops.convert_to_numpy(outputs["image_logits"])
    ).all()


def test_dalle_has_the_weights_that_its_published_shape_asks_for():
    width, layers, tokens = 62 * 64, 64, 16384 + 8192
    # Four projections and a feed-forward layer of four times the width; a
    # table, a classifier; the pads and positions of 256 words, and rows and
    # columns.
    blocks = layers * 12 * width**2
    others = (2 * tokens + 2 * 256 + 2 * 32) * width
    count = configurations.count_params(*configurations.generator("dalle-12b"))
    assert round(blocks / 1e9, 2) == 12.09
    # The rest are biases and the scales of norms.
    np.testing.assert_allclose(count, blocks + others, rtol=1e-3)


def test_counting_leaves_other_scopes_variables_alone():
    with keras.StatelessScope():
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
        cls, arguments = configurations.generator("bidalle-mnist64")
        configurations.count_params(cls, {**arguments, "depth": 1})
    assert keras.ops.convert_to_numpy(layer.kernel).shape == (2, 3)


def test_dalle_s_layers_are_row_column_row_row_and_a_last_convolution():
    _, arguments = configurations.generator("dalle-12b")
    row, column = "raster_row", "axial_column"
    attention = arguments["attention"]
    assert attention[:8] == (row, column, row, row) * 2
    assert attention[60:] == (row, column, row, "raster_conv")


def test_arguments_are_the_caller_s_own():
    _, arguments = configurations.generator("biart-500m")
    arguments["depth"] = 1
    assert configurations.generator("biart-500m")[1]["depth"] != 1


def test_unknown_names_and_classes_without_weights_are_told():
    with pytest.raises(ValueError, match="Known generators are"):
        configurations.generator("dalle")
    with pytest.raises(ValueError, match="`cls` must make its weights"):
        configurations.count_params(keras.layers.Dense, {"units": 3})


def test_a_setting_of_later_is_written_down_where_it_is_used():
    # A run of an earlier version has the others and goes on.
    found = configurations.Configuration.find("rq-vae-ffhq", "tokenizer")
    assert "frozen" not in found.as_json()["training"]
    found.change("frozen", ["encoder"])
    assert list(found.as_json()["training"]["frozen"]) == ["encoder"]
