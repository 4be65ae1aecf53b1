"""The optimizer of a run, and its learning rate, out of plain settings."""

from typing import Any

import keras

from keras_bidalle.messages import one_line_errors
from keras_bidalle.training.muon import Muon
from keras_bidalle.training.schedules import WarmupCosine
from keras_bidalle.validation import (
    check_at_least,
    check_choice,
    check_positive,
    is_integer,
    refused,
)

OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "muon": Muon,
}
SCHEDULES = ("constant", "cosine")


def learning_rate(
    peak: float,
    steps: int,
    warmup_steps: int = 0,
    schedule: str = "cosine",
    floor: float = 0.0,
    cycles: int = 1,
    schedule_steps: int | None = None,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate of a run: a line up, then constant or a cosine down.

    Args:
        peak: float, the rate once it has risen.
        steps: int, of the run.
        warmup_steps: int, over how many the rate rises from 0.
        schedule: str, `"cosine"` or `"constant"`.
        floor: float, the lowest rate of the cosine.
        cycles: int, how many cosines follow one another.
        schedule_steps: int or `None`, after how many steps the cosine is
            down to stay; those of the run by default.

    Returns:
        float, or a schedule.

    Raises:
        ValueError: if the schedule is unknown, or the run would end before
            the rate has risen.
    """
    check_choice(SCHEDULES, schedule=schedule)
    check_positive(steps=steps)
    if not (is_integer(warmup_steps) and 0 <= warmup_steps < steps):
        raise refused(
            "be an integer of at least 0, and fewer than the run's steps",
            warmup_steps=warmup_steps,
            steps=steps,
        )
    if schedule == "cosine":
        return WarmupCosine(
            peak, schedule_steps or steps, warmup_steps, floor, cycles
        )
    if not warmup_steps:
        return peak
    # A cosine that falls to where it began: a line up, then constant.
    return keras.optimizers.schedules.CosineDecay(
        0.0, 1, alpha=1.0, warmup_target=peak, warmup_steps=warmup_steps
    )


def build_optimizer(
    name: str,
    learning_rate: Any,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    average_momentum: float | None = None,
    **arguments: Any,
) -> keras.optimizers.Optimizer:
    """The optimizer of a name.

    Args:
        name: str, one of `OPTIMIZERS`.
        learning_rate: float or schedule, such as `learning_rate` gives.
        weight_decay: float, decoupled from the gradients, of any optimizer;
            0 for none.
        clip_norm: float or `None`, the largest norm of all gradients
            together.
        average_momentum: float or `None`, with which averages of the weights
            are kept (see `averaged_weights`); none by default.
        **arguments: further ones of the optimizer's class, such as `beta_1`.

    Returns:
        `keras.optimizers.Optimizer`.

    Raises:
        ValueError: if the name is unknown, or an argument is out of its
            range or none of that optimizer's.

    Example:

    ```python
    rate = learning_rate(1e-3, steps=10_000, warmup_steps=100)
    tokenizer.compile(build_optimizer("adamw", rate, weight_decay=1e-4))
    ```
    """
    check_choice(OPTIMIZERS, optimizer=name)
    check_at_least(0, weight_decay=weight_decay)
    # `None` spends no time on it, but AdamW must have a number.
    decay = weight_decay if weight_decay or name == "adamw" else None
    arguments["weight_decay"] = decay
    if name == "muon":
        arguments.setdefault("adam_weight_decay", decay)
    if average_momentum:
        arguments.update(use_ema=True, ema_momentum=average_momentum)
    # Keras refuses what is none of the class's arguments, by name.
    with one_line_errors():
        return OPTIMIZERS[name](
            learning_rate, global_clipnorm=clip_norm, **arguments
        )
