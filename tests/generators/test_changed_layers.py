"""Layers that were changed after a first draw: adapters, fewer bits."""

import keras
import numpy as np
import pytest
from keras import ops
from small_generators import small_generator
from small_models import CAPTIONS, small_model

import keras_bidalle
from keras_bidalle.generators import BidirectionalTransformer, RQTransformer

WEIGHTS_ALONE = keras.quantizers.Int8QuantizationConfig(
    activation_quantizer=None
)
BLOCKS_OF_32 = keras.quantizers.Int4QuantizationConfig(block_size=32)
TEXT = np.array([[1, 5, 6, 7, 2, 0]] * 2, "int32")
CODES = np.array([[[0, 1], [2, 3]], [[3, 2], [1, 0]]], "int32")


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


def quantize_weights_alone(generator):
    generator.quantize(config=WEIGHTS_ALONE)


def quantize_to_4_bits(generator):
    generator.quantize("int4")


def quantize_and_adapt(generator):
    quantize(generator)
    adapt(generator)


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
    "change",
    [
        adapt,
        activate,
        quantize,
        *(
            # Which has ways of its own for some of them.
            (quantize_weights_alone, quantize_to_4_bits, quantize_and_adapt)
            if keras.config.backend() == "torch"
            else ()
        ),
        freeze_and_train,
    ],
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


@pytest.mark.any_backend
@pytest.mark.parametrize("how", [WEIGHTS_ALONE, BLOCKS_OF_32])
def test_how_layers_were_quantized_is_kept(how, tmp_path):
    generator = small_generator()
    generator.quantize(config=how)
    text = ops.convert_to_numpy(generator.score_text(TEXT, CODES))
    generator.save_to_preset(tmp_path / "preset")
    again = keras_bidalle.load(tmp_path / "preset")
    kept = again.blocks[0].to_qkv.quantization_config
    assert kept.get_config() == how.get_config()
    np.testing.assert_array_equal(again.score_text(TEXT, CODES), text)


@pytest.mark.any_backend
def test_adapters_are_part_of_what_a_preset_keeps(tmp_path):
    generator = small_generator()
    adapt(generator)
    generator.save_to_preset(tmp_path / "preset")
    again = keras_bidalle.load(tmp_path / "preset")
    assert not again.blocks[0].to_qkv.lora_enabled
    np.testing.assert_allclose(
        again.score_text(TEXT, CODES),
        generator.score_text(TEXT, CODES),
        rtol=1e-4,
    )


def test_8_bits_go_with_factors_of_16(tmp_path):
    small_model("plain").save_to_preset(tmp_path / "preset")
    model = keras_bidalle.load(
        tmp_path / "preset", weights="int8", generator_dtype="bfloat16"
    )
    assert model.text_to_image(CAPTIONS, seed=3).dtype == np.uint8


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
    # What is narrow already stays so.
    again = keras_bidalle.load(tmp_path / "narrow", weights="int8")
    np.testing.assert_array_equal(
        again.text_to_image(CAPTIONS, seed=3),
        narrow.text_to_image(CAPTIONS, seed=3),
    )
    with pytest.raises(ValueError, match="`weights` must be one of"):
        keras_bidalle.load(tmp_path / "preset", weights="int3")
    model.image_tokenizer.save_to_preset(tmp_path / "tokenizer")
    with pytest.raises(ValueError, match="`weights` needs a model that has"):
        keras_bidalle.load(tmp_path / "tokenizer", weights="int8")
