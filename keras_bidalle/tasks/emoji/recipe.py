"""How the models of the emoji task are made and trained, by size."""

import dataclasses
from typing import Any

from keras_bidalle import generators, image_tokenizers, quantizers
from keras_bidalle.configurations import (
    Configuration,
    generator_training,
    serialized,
    tokenizer_training,
)

SIZES = ("smoke", "small", "preset")


@dataclasses.dataclass
class Recipe:
    """Both configurations, and the arguments of `EmojiTask`."""

    tokenizer: Configuration
    generator: Configuration
    task: dict[str, Any]
    jit: bool = True

    @classmethod
    def of_size(cls, size: str) -> "Recipe":
        """A recipe by its size.

        Args:
            size: "smoke", to see that it runs; "small", an hour of two CPU
                cores; "preset", what `bidalle-emoji` is trained with.

        Raises:
            ValueError: on another size.
        """
        if size not in SIZES:
            raise ValueError(f"`size` must be one of {SIZES}. Received: {size}")
        recipe = cls(_tokenizer(), _generator(), {})
        known: dict[str, dict] = {
            "smoke": _SMOKE,
            "small": {},
            "preset": _PRESET,
        }
        changes = known[size]
        for place, value in changes.items():
            recipe.change(place, value)
        recipe.jit = size != "smoke"
        return recipe

    def change(self, place: str, value: Any) -> None:
        """Sets one setting.

        Args:
            place: str, "tokenizer.NAME" or "generator.NAME" as in
                `Configuration.change`, or "task.NAME", an argument of
                `EmojiTask`.
            value: the setting's value.

        Raises:
            ValueError: if there is no such setting.
        """
        part, _, name = place.partition(".")
        if part in ("tokenizer", "generator") and name:
            stage = getattr(self, part)
            stage.change(name, value)
            if name == "steps" and value is not None:
                stage.training["warmup_steps"] = min(100, value // 10)
        elif part == "task" and name in _TASK:
            self.task[name] = value
        else:
            raise ValueError(
                "A setting is tokenizer.NAME, generator.NAME or one of "
                f"task.{', task.'.join(_TASK)}. Received: {place}"
            )


_TASK = (
    *("patch_start", "classifier_steps"),
    *("evaluation_pictures", "ranked_pictures"),
)


def _tokenizer() -> Configuration:
    return Configuration(
        image_tokenizers.PatchVQGAN,
        {
            # As many dimensions as a patch has values: its start is the
            # patches themselves.
            "quantizer": serialized(
                quantizers.EMAVectorQuantizer,
                {
                    "num_codes": 2048,
                    "code_dim": 48,
                    "kmeans_steps": 0,
                    "seed": 0,
                },
            ),
            "image_shape": (64, 64, 3),
            "patch_size": 4,
            "channels": 96,
            "hidden_channels": 96,
            "num_blocks": 2,
        },
        {
            **tokenizer_training(),
            "optimizer": "adamw",
            # The start has codes that are worth keeping: learning to decode
            # them with what is around them is quick.
            "frozen": ["encoder", "quantizer"],
            "learning_rate": 1e-3,
            "beta_2": 0.99,
            "epsilon": 1e-7,
            "weight_decay": 1e-4,
            "schedule": "cosine",
            "warmup_steps": 100,
            "batch_size": 16,
            "steps": 4000,
            "reports": 10,
            "pixel_loss": {"l2": 1.0, "l1": 0.3},
            "perceptual_weight": 0.0,
        },
    )


def _generator() -> Configuration:
    return Configuration(
        generators.PatchBidirectionalTransformer,
        {
            "text_vocabulary_size": 2000,
            # The longest name has 19 tokens; a style adds 3, the ends 2.
            "text_length": 24,
            "num_codes": 2048,
            "code_shape": (16, 16),
            "patch_size": 2,
            "patch_head_width": 128,
            "width": 256,
            "depth": 6,
            "num_heads": 4,
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
            "mask_padding": False,
        },
        {
            **generator_training(),
            "optimizer": "muon",
            "optimizer_arguments": {"adam_lr_ratio": 0.4},
            "beta_2": 0.95,
            "epsilon": 1e-7,
            "weight_decay": 0.01,
            "clip_norm": 1.0,
            "learning_rate": 3e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "batch_size": 32,
            "steps": 3000,
            "reports": 10,
            "text_to_image_share": 0.6,
            "sampling": {"temperature": 1.0, "guidance_scale": 2.0},
        },
    )


_SMOKE = {
    "tokenizer.steps": 20,
    "tokenizer.reports": 2,
    "tokenizer.quantizer.num_codes": 128,
    "generator.steps": 20,
    "generator.reports": 2,
    "generator.width": 64,
    "generator.depth": 2,
    "generator.num_heads": 2,
    "generator.head_dim": 32,
    "task.classifier_steps": 20,
    "task.evaluation_pictures": 8,
    "task.ranked_pictures": 1,
}
# A constant rate with averaged weights can be stopped anywhere.
_PRESET = {
    "generator.schedule": "constant",
    "generator.average_momentum": 0.998,
    "generator.steps": 30_000,
    "generator.reports": 100,
}
