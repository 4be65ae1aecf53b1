"""How the models of a task's own program are made and trained."""

import copy
import dataclasses
from typing import Any

from keras_bidalle import generators, image_tokenizers
from keras_bidalle.arguments import defaults_of
from keras_bidalle.configurations import (
    Configuration,
    generator_training,
    serialized,
    tokenizer_training,
)
from keras_bidalle.tasks.task import Task

MUON = {
    "optimizer": "muon",
    "optimizer_arguments": {"adam_lr_ratio": 0.4},
    "beta_2": 0.95,
    "weight_decay": 0.01,
}
# The tokenizer of `small_tokenizer`: local, and fast on CPUs.
PATCHES = {
    "patch_size": 4,
    "channels": 96,
    "hidden_channels": 96,
    "num_blocks": 2,
}
# To see that a generator runs.
SMOKE = {
    "generator.reports": 2,
    "generator.width": 64,
    "generator.depth": 2,
    "generator.num_heads": 2,
    "generator.head_dim": 32,
}


def task_settings(task: type[Task]) -> dict[str, Any]:
    """What a recipe says of a task, with the defaults."""
    settings = defaults_of([task])
    # These two are the run's.
    for name in ("data_dir", "seed"):
        settings.pop(name, None)
    return settings


@dataclasses.dataclass
class Recipe:
    """Both configurations, and the arguments of the task."""

    tokenizer: Configuration
    generator: Configuration
    task: dict[str, Any]
    jit: bool = True

    def change(self, place: str, value: Any) -> None:
        """Sets one setting.

        Args:
            place: str, such as "tokenizer.quantizer.num_codes",
                "generator.width" or "task.classifier_steps".
            value: the setting's value.

        Raises:
            ValueError: if the recipe has no such setting.
        """
        part, _, name = place.partition(".")
        if part == "task" and name in self.task:
            self.task[name] = value
        elif part in ("tokenizer", "generator") and name:
            stage = getattr(self, part)
            stage.change(name, value)
            if name == "steps" and value is not None:
                self.fit_curves(stage.training, value)
        else:
            raise ValueError(
                "A setting is tokenizer.NAME, generator.NAME or one of "
                f"task.{', task.'.join(self.task)}. Received: {place}"
            )

    def fit_curves(self, training: dict[str, Any], steps: int) -> None:
        """Makes the curves of a stage's training as long as its steps ask."""
        training["warmup_steps"] = min(100, steps // 10)


def small_tokenizer(quantizer: Any, training: dict[str, Any]) -> Configuration:
    """A tokenizer of 64x64 images for 2 CPU cores.

    Args:
        quantizer: tuple of its class and a dict of its arguments.
        training: dict of what is set otherwise than here.
    """
    return Configuration(
        image_tokenizers.PatchVQGAN,
        {
            "quantizer": serialized(*quantizer),
            "image_shape": (64, 64, 3),
            **PATCHES,
        },
        {
            **tokenizer_training(),
            "optimizer": "adamw",
            "beta_2": 0.99,
            "epsilon": 1e-7,
            "weight_decay": 1e-4,
            "schedule": "cosine",
            "warmup_steps": 100,
            "steps": 4000,
            "reports": 10,
            **training,
        },
    )


def small_generator(
    arguments: dict[str, Any], training: dict[str, Any]
) -> Configuration:
    """A generator over 16x16 codes for 2 CPU cores.

    Args:
        arguments: dict, the sizes of the vocabularies, and what else is set
            otherwise than here.
        training: dict, likewise.
    """
    return Configuration(
        generators.PatchBidirectionalTransformer,
        {
            **arguments,
            "code_shape": (16, 16),
            "patch_size": 2,
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
            # With one pad id a position nothing has to be hidden, and a mask
            # shared by all rows is cheaper.
            "mask_padding": False,
        },
        {
            **generator_training(),
            **copy.deepcopy(MUON),
            "epsilon": 1e-7,
            "clip_norm": 1.0,
            "schedule": "cosine",
            "warmup_steps": 100,
            "batch_size": 32,
            "reports": 10,
            "sampling": {"temperature": 1.0, "guidance_scale": 2.0},
            **training,
        },
    )
