"""Learning rates and layer variables that change along the run."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_bidalle.arguments import kept_arguments
from keras_bidalle.training.steps import StepCallback
from keras_bidalle.validation import check_positive, is_integer, refused


@keras.saving.register_keras_serializable(package="keras_bidalle")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A line up from 0, then a cosine down, once or from the top again.

    With one cycle the same curve as Keras' `CosineDecay(0.0, steps -
    warmup_steps, alpha=floor / peak, warmup_target=peak,
    warmup_steps=warmup_steps)`, without a branch: one makes torch.compile
    give up on the step around it, which then takes half as long again.

    Args:
        peak: float, the rate at `warmup_steps`.
        steps: int, when the rate is down to stay.
        warmup_steps: int, less than `steps`.
        floor: float, the rate from `steps` on, and the lowest of each cycle.
        cycles: int, how many cosines follow one another, each from `peak`.

    Raises:
        ValueError: if `warmup_steps` is not from 0 to `steps - 1`, or
            `steps` or `cycles` is not a positive integer.

    Reference:
        SGDR, arXiv 1608.03983, equation 5, for the cosine.
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        warmup_steps: int = 0,
        floor: float = 0.0,
        cycles: int = 1,
    ) -> None:
        super().__init__()
        check_positive(steps=steps, cycles=cycles)
        if not (is_integer(warmup_steps) and 0 <= warmup_steps < steps):
            raise refused(
                "be an integer from 0 to `steps` - 1",
                warmup_steps=warmup_steps,
                steps=steps,
            )
        self.peak = peak
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.floor = floor
        self.cycles = cycles

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = ops.minimum(step / max(self.warmup_steps, 1), 1.0)
        if not self.warmup_steps:
            rise = 1.0
        past = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        past = self.cycles * ops.clip(past, 0.0, 1.0)
        # The last cycle ends at its bottom, not at the top of another.
        past = past - ops.floor(ops.minimum(past, self.cycles - 1.0))
        fall = 0.5 + 0.5 * ops.cos(math.pi * past)
        return rise * (self.floor + (self.peak - self.floor) * fall)

    def get_config(self) -> dict[str, Any]:
        return kept_arguments(self)


class VariableSchedule(StepCallback):
    """Sets a variable by the global step.

    Gumbel-softmax temperatures and KL weights are such variables.

    Args:
        variable: `keras.Variable`, scalar and non-trainable.
        schedule: callable from the step (int) to the value; any
            `keras.optimizers.schedules.LearningRateSchedule` is one.
        every_steps: int, steps between two settings. On JAX each costs about
            as much as reading the weights.

    Example:

    ```python
    cooling = keras.optimizers.schedules.ExponentialDecay(1.0, 1000, 0.9)
    model.fit(x, callbacks=[VariableSchedule(quantizer.temperature, cooling)])
    ```
    """

    def __init__(
        self,
        variable: keras.Variable,
        schedule: Callable[[int], Any],
        every_steps: int = 1,
    ) -> None:
        super().__init__()
        check_positive(every_steps=every_steps)
        self.variable = variable
        self.schedule = schedule
        self.every_steps = every_steps

    def on_train_batch_begin(
        self, batch: int, logs: dict | None = None
    ) -> None:
        step = self.steps_done(batch - 1)
        if step % self.every_steps == 0:
            self.sync_weights()
            self.variable.assign(float(self.schedule(step)))
