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
    sizes,
    tokenizer_training,
)
from keras_bidalle.tasks.task import Task

# Of a run whose steps are given, which count.
_EPOCHS = {"epochs": 10, "warmup_steps": 100}
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
            **sizes.PATCHES,
        },
        {
            **tokenizer_training(),
            **sizes.LOCAL_TRAINING,
            **_EPOCHS,
            "steps": 4000,
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
    modern = sizes.modern(side=16, width=256, depth=6, **sizes.FOUR_A_PLACE)
    return Configuration(
        generators.PatchBidirectionalTransformer,
        {**modern, **arguments},
        copy.deepcopy(
            {
                **generator_training(),
                **sizes.MODERN_TRAINING,
                **_EPOCHS,
                **training,
            }
        ),
    )
