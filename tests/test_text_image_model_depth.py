"""Stacks of residual codes under a TextImageModel, in both directions."""

import keras
import numpy as np
import pytest
from keras import ops
from small_generators import fitting_generator
from small_tokenizers import patch_vqgan

import keras_bidalle
from keras_bidalle import TextImageModel
from keras_bidalle.generators import RQTransformer
from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer
from keras_bidalle.sampling.requests import encoded_prime
from keras_bidalle.tasks.mnist64 import caption_grammar, grammar_tokenizer

CAPTIONS = ["red 3 on the upper left .", "the number is green 7 ."]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    captions = grammar_tokenizer(caption_grammar("mnist"))
    images = patch_vqgan(
        quantizer=ResidualQuantizer(VectorQuantizer(12, 8), code_depth=3)
    )
    assert images.code_shape == (4, 4, 3)
    generator = fitting_generator(
        RQTransformer,
        images,
        captions,
        head_depth=1,
        head_embedding="codebook",
        code_dim=8,
        rotary=True,
        condition_dropout=0.1,
    )
    generator.use_codebooks(images)
    return TextImageModel(images, captions, generator)


def test_captions_become_pictures_and_pictures_captions(model, tmp_path):
    images = model.text_to_image(CAPTIONS, seed=[1, 2], num_samples=2)
    assert images.shape == (2, 2, 16, 16, 3) and images.dtype == np.uint8
    assert (images[:, 0] != images[:, 1]).any()
    texts = model.image_to_text(images[:, 0])
    assert len(texts) == 2 and all(isinstance(text, str) for text in texts)

    model.save_to_preset(tmp_path / "model")
    loaded = keras_bidalle.load(tmp_path / "model")
    again = loaded.text_to_image(CAPTIONS, seed=[1, 2], num_samples=2)
    np.testing.assert_array_equal(again, images)
    assert loaded.image_to_text(images[:, 0]) == texts


def test_settings_may_differ_from_depth_to_depth_and_row_to_row(model):
    # One value a row and depth, whose greedy depths do not see the seed.
    settings = {"top_k": [[1, 1, 1], [12, 3, 3]], "guidance_scale": 1.5}
    first = model.text_to_image(CAPTIONS, seed=3, **settings)
    second = model.text_to_image(CAPTIONS, seed=4, **settings)
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[1] != second[1]).any()
    alone = model.text_to_image(
        CAPTIONS[1], seed=3, top_k=[[12, 3, 3]], guidance_scale=1.5
    )
    np.testing.assert_array_equal(alone[0], first[1])
    with pytest.raises(ValueError, match="`top_k` must be"):
        model.text_to_image(CAPTIONS, top_k=[1, 2, 3])


def test_a_prime_is_the_top_of_the_picture(model):
    generator = model.generator
    whole = model.text_to_image(CAPTIONS, seed=0)
    stacks = encoded_prime(whole[:, :8], 2, model.image_tokenizer, generator)
    assert stacks.shape == (2, 8, 3)
    primed = model.text_to_image(CAPTIONS, seed=9, prime=whole[:, :8])
    assert primed.shape == whole.shape
    text = model.caption_tokenizer.encode(CAPTIONS)
    codes = generator.generate_codes(text, seed=9, prime=stacks)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(generator.head.to_positions(codes))[:, :8], stacks
    )
    for rows in (6, 0, 16):
        with pytest.raises(ValueError, match="`prime` must have shape"):
            model.text_to_image(CAPTIONS, prime=np.zeros((2, rows, 16, 3)))
    with pytest.raises(ValueError, match="`prime` must have shape"):
        generator.generate_codes(text, prime=stacks[..., :2])
