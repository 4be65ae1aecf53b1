"""Layer variables that change along the run.

Learning rates need nothing from here:
`keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=peak,
warmup_steps=n)` warms up and decays.
"""

from keras_bidalle.training.steps import StepCallback


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

    def __init__(self, variable, schedule, every_steps=1):
        super().__init__()
        if not isinstance(every_steps, int) or every_steps < 1:
            raise ValueError(
                "`every_steps` must be a positive integer. "
                f"Received: every_steps={every_steps}"
            )
        self.variable = variable
        self.schedule = schedule
        self.every_steps = every_steps

    def on_train_batch_begin(self, batch, logs=None):
        step = self.steps_done(batch - 1)
        if step % self.every_steps == 0:
            self.sync_weights()
            self.variable.assign(float(self.schedule(step)))
