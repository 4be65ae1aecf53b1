"""Configurations for a user's own pictures, by machine and picture size.

- `small-64`: 64x64 pictures, two CPU cores for hours;
- `small-128`: 128x128 pictures, two CPU cores for a day;
- `base-256`: 256x256 pictures, a GPU.

They come from no paper. `docs/own_pictures.md` says what they take.
"""

from typing import Any

from keras_bidalle.configurations.building import serialized
from keras_bidalle.generators import (
    BidirectionalTransformer,
    PatchBidirectionalTransformer,
)
from keras_bidalle.image_tokenizers import VQGAN, PatchVQGAN
from keras_bidalle.quantizers import EMAVectorQuantizer

SIZES = ("small-64", "small-128", "base-256")

# Of both stages: it rises for long enough, and falls to the end.
_CURVE = {
    "schedule": "cosine",
    "warmup_steps": 50,
    "epsilon": 1e-7,
    "epochs": None,
    "reports": 10,
}


def _patches(side: int, num_codes: int) -> tuple[type, dict[str, Any]]:
    # As many dimensions as a patch of 4x4 pixels has values: the codes start
    # as k-means of the patches themselves.
    quantizer = {"num_codes": num_codes, "code_dim": 48, "kmeans_steps": 0}
    return (
        PatchVQGAN,
        {
            "quantizer": serialized(EMAVectorQuantizer, quantizer),
            "image_shape": (side, side, 3),
            "patch_size": 4,
            "channels": 96,
            "hidden_channels": 96,
            "num_blocks": 2,
        },
    )


def _modern(**sizes: Any) -> dict[str, Any]:
    return {
        "attention": ("full",),
        "image_positions": "learned",
        "activation": "squared_relu",
        "normalization": "layer",
        "query_key_norm": True,
        "use_bias": False,
        "rotary": True,
        "token_kernel_size": 5,
        "layer_scale": None,
        "condition_dropout": 0.1,
        "head_dim": 64,
        **sizes,
    }


def _of_patches(**sizes: Any) -> tuple[type, dict[str, Any]]:
    # Four codes a place; with a pad id a place nothing has to be hidden.
    patches = {"patch_size": 2, "patch_head_width": 128, "mask_padding": False}
    return PatchBidirectionalTransformer, {**_modern(**sizes), **patches}


TOKENIZERS: dict[str, tuple[type, dict[str, Any]]] = {
    "small-64": _patches(64, 1024),
    "small-128": _patches(128, 2048),
    "base-256": (
        VQGAN,
        {
            "quantizer": serialized(
                EMAVectorQuantizer, {"num_codes": 4096, "code_dim": 64}
            ),
            "image_shape": (256, 256, 3),
            "channels": 96,
            "channel_multipliers": (1, 1, 2, 2, 4),
            "num_res_blocks": 2,
            "attention_resolutions": (16,),
            "z_channels": 256,
        },
    ),
}
GENERATORS: dict[str, tuple[type, dict[str, Any]]] = {
    "small-64": _of_patches(
        text_vocabulary_size=2000,
        text_length=32,
        num_codes=1024,
        code_shape=(16, 16),
        width=256,
        depth=6,
        num_heads=4,
    ),
    "small-128": _of_patches(
        text_vocabulary_size=4000,
        text_length=48,
        num_codes=2048,
        code_shape=(32, 32),
        width=384,
        depth=8,
        num_heads=6,
    ),
    "base-256": (
        BidirectionalTransformer,
        _modern(
            text_vocabulary_size=8000,
            text_length=64,
            num_codes=4096,
            code_shape=(16, 16),
            width=768,
            depth=16,
            num_heads=12,
        ),
    ),
}

_PATCHES_TRAINING = {
    **_CURVE,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "beta_2": 0.99,
    "weight_decay": 1e-4,
    # Codes that are worth keeping: what is learned is to decode them with
    # what is around them.
    "codebook_start": "patches",
    "frozen": ["encoder", "quantizer"],
    "batch_size": 16,
    "pixel_loss": {"l2": 1.0, "l1": 0.3},
    "perceptual_weight": 0.0,
}
TOKENIZER_TRAINING: dict[str, dict[str, Any]] = {
    "small-64": {**_PATCHES_TRAINING, "steps": 2000},
    "small-128": {**_PATCHES_TRAINING, "batch_size": 8, "steps": 6000},
    "base-256": {
        **_CURVE,
        "learning_rate": 1e-4,
        "beta_1": 0.5,
        "beta_2": 0.9,
        "warmup_steps": 1000,
        "batch_size": 16,
        "steps": 60_000,
        "adversarial_weight": 0.8,
        "adversarial_start": 30_000,
        "crop": "RandomCrop",
    },
}

_MUON = {
    **_CURVE,
    "optimizer": "muon",
    "optimizer_arguments": {"adam_lr_ratio": 0.4},
    "beta_2": 0.95,
    "weight_decay": 0.01,
    "clip_norm": 1.0,
    "learning_rate": 3e-3,
    "text_to_image_share": 0.6,
    "sampling": {"temperature": 1.0, "guidance_scale": 2.0},
}
GENERATOR_TRAINING: dict[str, dict[str, Any]] = {
    "small-64": {**_MUON, "batch_size": 32, "steps": 4000},
    "small-128": {
        **_MUON,
        "learning_rate": 2e-3,
        "batch_size": 32,
        "steps": 10_000,
    },
    "base-256": {
        **_MUON,
        "learning_rate": 2e-3,
        "warmup_steps": 500,
        "batch_size": 64,
        "steps": 100_000,
    },
}
