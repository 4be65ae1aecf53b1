"""Small tokenizers that the tests share."""

import numpy as np

from keras_bidalle.image_tokenizers import (
    RQVAE,
    VQGAN,
    DiscreteVAE,
    PatchVQGAN,
)
from keras_bidalle.quantizers import (
    GumbelQuantizer,
    OrthogonalVectorQuantizer,
    ResidualQuantizer,
    RestartingVectorQuantizer,
    VectorQuantizer,
)


def patch_vqgan(**kwargs):
    arguments = {
        "image_shape": (16, 16, 3),
        "channels": 16,
        "hidden_channels": 16,
        "num_blocks": 1,
        **kwargs,
    }
    quantizer = arguments.pop("quantizer", None)
    quantizer = quantizer or OrthogonalVectorQuantizer(
        12, 8, codebook_initializer="random_normal"
    )
    return PatchVQGAN(quantizer, **arguments)


def vqgan(**kwargs):
    arguments = {
        "image_shape": (16, 16, 3),
        "channels": 8,
        "channel_multipliers": (1, 2),
        "attention_resolutions": (8,),
        "z_channels": 8,
        **kwargs,
    }
    return VQGAN(OrthogonalVectorQuantizer(12, 8), **arguments)


def residual_patch_vqgan():
    quantizer = ResidualQuantizer(VectorQuantizer(12, 8), code_depth=2)
    return patch_vqgan(quantizer=quantizer)


def rqvae(depth=3, shared=True, **kwargs):
    arguments = {
        "image_shape": (16, 16, 3),
        "channels": 8,
        "channel_multipliers": (1, 2),
        "num_res_blocks": 1,
        "attention_resolutions": (8,),
        "z_channels": 8,
        **kwargs,
    }
    codebook = RestartingVectorQuantizer(12, 8, seed=0)
    return RQVAE(ResidualQuantizer(codebook, depth, shared), **arguments)


def discrete_vae(quantizer=None, **kwargs):
    arguments = {
        "image_shape": (16, 16, 3),
        "channels": 8,
        "channel_multipliers": (1, 2, 4),
        "num_res_blocks": 1,
        **kwargs,
    }
    quantizer = quantizer or GumbelQuantizer(12, 6, input_dim=32, seed=0)
    return DiscreteVAE(quantizer, **arguments)


def uint8_images(count=3, side=16):
    """Smooth images, uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (count, side // 4, side // 4, 3))
    return coarse.repeat(4, 1).repeat(4, 2).astype("uint8")


def as_float(images):
    return images.astype("float32") / 127.5 - 1.0
