"""Configurations for a user's own pictures, by machine and picture size.

- `small-64`: 64x64 pictures, two CPU cores for hours;
- `small-128`: 128x128 pictures, two CPU cores for a day;
- `base-256`: 256x256 pictures, a GPU.

They come from no paper. `docs/own_pictures.md` says what they take.
"""

from typing import Any

from keras_bidalle.configurations.building import serialized
from keras_bidalle.configurations.tokenizers import vqgan_arguments
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


# A tokenizer whose every layer is local, and fast on CPUs.
PATCHES = {
    "patch_size": 4,
    "channels": 96,
    "hidden_channels": 96,
    "num_blocks": 2,
}


def _patches(side: int, num_codes: int) -> tuple[type, dict[str, Any]]:
    # As many dimensions as a patch of 4x4 pixels has values: the codes start
    # as k-means of the patches themselves.
    codebook = serialized(
        EMAVectorQuantizer,
        {"num_codes": num_codes, "code_dim": 48, "kmeans_steps": 0},
    )
    shape = (side, side, 3)
    return PatchVQGAN, {"quantizer": codebook, "image_shape": shape, **PATCHES}


def modern(side: int, width: int, depth: int, **more: Any) -> dict[str, Any]:
    """Arguments of a generator over side x side codes, in heads of 64."""
    return {
        "code_shape": (side, side),
        "width": width,
        "depth": depth,
        "num_heads": width // 64,
        "head_dim": 64,
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
        **more,
    }


# Of generators with four codes a place.
FOUR_A_PLACE = {
    "patch_size": 2,
    # With one pad id a position nothing has to be hidden, and a mask shared
    # by all rows is cheaper.
    "mask_padding": False,
}


def _of_size(
    words: int, length: int, num_codes: int, side: int, width: int, depth: int
) -> dict[str, Any]:
    return {
        "text_vocabulary_size": words,
        "text_length": length,
        "num_codes": num_codes,
        **modern(side, width, depth),
    }


def _of_patches(*size: int) -> tuple[type, dict[str, Any]]:
    more = {"patch_head_width": 128, **FOUR_A_PLACE}
    return PatchBidirectionalTransformer, {**_of_size(*size), **more}


TOKENIZERS: dict[str, tuple[type, dict[str, Any]]] = {
    "small-64": _patches(64, 1024),
    "small-128": _patches(128, 2048),
    "base-256": (
        VQGAN,
        vqgan_arguments(
            serialized(EMAVectorQuantizer, {"num_codes": 4096, "code_dim": 64}),
            *(256, (1, 1, 2, 2, 4), 16),
            channels=96,
        ),
    ),
}
GENERATORS: dict[str, tuple[type, dict[str, Any]]] = {
    # Words, length of a caption, codes, side of their grid, width, depth.
    "small-64": _of_patches(2000, 32, 1024, 16, 256, 6),
    "small-128": _of_patches(4000, 48, 2048, 32, 384, 8),
    "base-256": (
        BidirectionalTransformer,
        _of_size(8000, 64, 4096, 16, 768, 16),
    ),
}

# Of tokenizers as `PATCHES` has them.
LOCAL_TRAINING = {
    **_CURVE,
    "optimizer": "adamw",
    "beta_2": 0.99,
    "weight_decay": 1e-4,
}
_PATCHES_TRAINING = {
    **LOCAL_TRAINING,
    "learning_rate": 1e-3,
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

MUON = {
    "optimizer": "muon",
    "optimizer_arguments": {"adam_lr_ratio": 0.4},
    "beta_2": 0.95,
    "weight_decay": 0.01,
}
# Of generators as `modern` makes them.
MODERN_TRAINING = {
    **_CURVE,
    **MUON,
    "clip_norm": 1.0,
    "batch_size": 32,
    "sampling": {"temperature": 1.0, "guidance_scale": 2.0},
}
_MODERN = {
    **MODERN_TRAINING,
    "learning_rate": 2e-3,
    "text_to_image_share": 0.6,
}
GENERATOR_TRAINING: dict[str, dict[str, Any]] = {
    "small-64": {**_MODERN, "learning_rate": 3e-3, "steps": 4000},
    "small-128": {**_MODERN, "steps": 10_000},
    "base-256": {
        **_MODERN,
        "warmup_steps": 500,
        "batch_size": 64,
        "steps": 100_000,
    },
}
