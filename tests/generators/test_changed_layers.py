"""Layers that were changed after a first draw: adapters, fewer bits."""

import keras
import numpy as np
import pytest
from keras import ops
from small_generators import small_generator
from small_models import CAPTIONS, small_model

import keras_bidalle
from keras_bidalle.generators import BidirectionalTransformer, RQTransformer

TEXT = np.array([[1, 5, 6, 7, 2, 0]] * 2, "int32")


def are_likeliest(generator, codes):
    rows = {"text": TEXT, "codes": codes, "text_to_image": np.ones(2, bool)}
    logits = ops.convert_to_numpy(generator(rows)["image_logits"])
    return logits[:, :, 0].argmax(-1).reshape(codes.shape) == codes


def adapt(generator):
    for block in generator.blocks:
        for dense in block.projections:
            dense.enable_lora(2)
            shape = dense.lora_kernel_b.shape
            dense.lora_kernel_b.assign(keras.random.normal(shape, seed=1))


def activate(generator):
    (block,) = generator.blocks
    block.expand.activation = keras.activations.tanh


def quantize(generator):
    generator.quantize("int8")


def freeze_and_train(generator):
    generator.transformer.trainable = False
    generator.compile(keras.optimizers.Adam(0.5))
    rows = {
        "text": TEXT,
        "codes": np.full((2, 2, 2), 3),
        "text_to_image": np.ones(2, bool),
    }
    generator.fit(rows, epochs=3, verbose=0)


@pytest.mark.parametrize(
    "change", [adapt, activate, quantize, freeze_and_train]
)
def test_what_is_drawn_next_follows_the_layers_of_now(change):
    generator = small_generator()
    before = generator.generate_codes(TEXT, temperature=0)
    assert are_likeliest(generator, before).all()
    change(generator)
    after = generator.generate_codes(TEXT, temperature=0)
    assert are_likeliest(generator, after).all()


def test_a_quantized_model_is_saved_and_loaded_whole(tmp_path):
    model = small_model("plain")
    model.quantize("int8")
    model.save_to_preset(tmp_path / "preset")
    again = keras_bidalle.load(tmp_path / "preset")
    assert "quantized" in again.image_tokenizer.get_config()
    images = model.text_to_image(CAPTIONS, seed=3)
    np.testing.assert_array_equal(again.text_to_image(CAPTIONS, seed=3), images)
    assert again.image_to_text(images) == model.image_to_text(images)


@pytest.mark.parametrize(
    "cls,options",
    [
        (BidirectionalTransformer, {}),
        (RQTransformer, {"code_shape": (2, 2, 2), "head_depth": 1}),
    ],
)
def test_a_quantized_generator_is_saved_and_loaded(cls, options, tmp_path):
    generator = small_generator(cls, **options)
    assert "quantized" not in generator.get_config()
    generator.quantize("int8")
    codes = generator.generate_codes(TEXT, temperature=0)
    generator.save(tmp_path / "model.keras")
    generator.save_to_preset(tmp_path / "preset")
    for again in (
        keras.models.load_model(tmp_path / "model.keras"),
        keras_bidalle.load(tmp_path / "preset"),
    ):
        (block,) = again.blocks
        assert block.to_qkv.quantization_mode == "int8"
        np.testing.assert_array_equal(
            again.generate_codes(TEXT, temperature=0), codes
        )


def test_weights_are_narrowed_when_loaded(tmp_path):
    model = small_model("plain")
    model.save_to_preset(tmp_path / "preset")
    narrow = keras_bidalle.load(tmp_path / "preset", weights="int8")
    block = narrow.generator.blocks[0]
    assert block.to_qkv.quantization_mode == "int8"
    assert narrow.text_to_image(CAPTIONS, seed=3).dtype == np.uint8
    narrow.save_to_preset(tmp_path / "narrow")
    again = keras_bidalle.load(tmp_path / "narrow")
    np.testing.assert_array_equal(
        again.text_to_image(CAPTIONS, seed=3),
        narrow.text_to_image(CAPTIONS, seed=3),
    )
    with pytest.raises(ValueError, match="`weights` must be one of"):
        keras_bidalle.load(tmp_path / "preset", weights="int3")
    model.image_tokenizer.save_to_preset(tmp_path / "tokenizer")
    with pytest.raises(ValueError, match="`weights` needs a model that has"):
        keras_bidalle.load(tmp_path / "tokenizer", weights="int8")
