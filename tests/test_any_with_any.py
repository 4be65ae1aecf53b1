"""Every tokenizer under every generator that its code shape allows."""

import functools

import keras
import numpy as np
import pytest
from few_steps import FEW_STEPS
from small_tokenizers import uint8_images

from keras_bidalle import TextImageModel
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.generators import (
    BidirectionalTransformer,
    PatchBidirectionalTransformer,
    RQTransformer,
)
from keras_bidalle.image_tokenizers import (
    RQVAE,
    VQGAN,
    AugVAE,
    DiscreteVAE,
    PatchVQGAN,
)
from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    GumbelQuantizer,
    OrthogonalVectorQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
)

SHAPE, K, DIM = (16, 16, 3), 12, 8
CAPTIONS = ["red box", "blue box"]
CONVOLUTIONS = {
    "image_shape": SHAPE,
    "channels": 8,
    "channel_multipliers": (1, 1, 2),
    "num_res_blocks": 1,
    "z_channels": 8,
}


def convolutional(cls, quantizer):
    return cls(quantizer, attention_resolutions=(), **CONVOLUTIONS)


def augvae():
    return AugVAE(
        EMAVectorQuantizer(K, DIM, kmeans_steps=0, seed=0),
        num_levels=2,
        next_channel_multipliers=(1, 2),
        **CONVOLUTIONS,
    )


TOKENIZERS = {
    "VQGAN": lambda: convolutional(VQGAN, VectorQuantizer(K, DIM)),
    "TE-VQGAN": lambda: convolutional(VQGAN, OrthogonalVectorQuantizer(K, DIM)),
    "Gumbel VQGAN": lambda: convolutional(VQGAN, GumbelQuantizer(K, DIM)),
    "PatchVQGAN": lambda: PatchVQGAN(
        EMAVectorQuantizer(K, DIM, kmeans_steps=0),
        image_shape=SHAPE,
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    ),
    "DiscreteVAE": lambda: DiscreteVAE(
        GumbelQuantizer(K, DIM, input_dim=32),
        image_shape=SHAPE,
        channels=8,
        channel_multipliers=(1, 2, 4),
        num_res_blocks=1,
    ),
    "AugVAE-SL": lambda: augvae().to_single_level(0),
    "AugVAE-ML": augvae,
    "RQ-VAE": lambda: convolutional(
        RQVAE, ResidualQuantizer(VectorQuantizer(K, DIM), code_depth=2)
    ),
}
GENERATORS = {
    "grid": (BidirectionalTransformer, PatchBidirectionalTransformer),
    "row": (BidirectionalTransformer,),
    "stacks": (RQTransformer,),
}
CODES = {"AugVAE-ML": ("row", (20,)), "RQ-VAE": ("stacks", (4, 4, 2))}
PAIRS = [
    (name, generator)
    for name in TOKENIZERS
    for generator in GENERATORS[CODES.get(name, ("grid",))[0]]
]


@functools.cache
def image_tokenizer(name):
    return TOKENIZERS[name]()


@functools.cache
def caption_tokenizer():
    words = sorted({word for text in CAPTIONS for word in text.split()})
    return CaptionTokenizer.from_words(words, max_length=5)


@functools.cache
def generator_of(cls, code_shape):
    # One for all tokenizers of a code shape, so that it is compiled once.
    generator = cls(
        text_vocabulary_size=caption_tokenizer().vocabulary_size,
        text_length=5,
        num_codes=K,
        code_shape=code_shape,
        width=16,
        depth=1,
        num_heads=2,
        token_kernel_size=3,
    )
    generator.compile(keras.optimizers.Adam(1e-2), **FEW_STEPS)
    return generator


@pytest.mark.parametrize("name,cls", PAIRS)
def test_a_pair_learns_and_generates_in_both_directions(name, cls):
    tokenizer = image_tokenizer(name)
    assert tokenizer.code_shape == CODES.get(name, ("grid", (4, 4)))[1]
    generator = generator_of(cls, tokenizer.code_shape)
    model = TextImageModel(tokenizer, caption_tokenizer(), generator)

    images = uint8_images(2)
    rows = {
        "text": np.tile(caption_tokenizer().encode(CAPTIONS), (2, 1)),
        "codes": np.tile(
            tokenizer.encode(images), (2,) + (1,) * len(tokenizer.code_shape)
        ),
        "text_to_image": np.array([True, True, False, False]),
    }
    history = generator.fit(rows, batch_size=4, epochs=4, verbose=0).history
    for loss in ("loss", "image_loss", "text_loss"):
        assert np.isfinite(history[loss]).all()
    assert history["loss"][-1] < history["loss"][0]

    drawn = model.text_to_image(CAPTIONS, seed=[1, 2])
    assert drawn.shape == (2, *SHAPE) and drawn.dtype == np.uint8
    written = model.image_to_text(images)
    assert len(written) == 2 and all(isinstance(text, str) for text in written)
    # The same codes; rounding their image to 8 bits may fall either way.
    alone = model.text_to_image(CAPTIONS[1], seed=2)[0]
    assert np.abs(alone.astype(int) - drawn[1]).max() <= 1
