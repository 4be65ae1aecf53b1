"""What processes under Horovod send each other besides gradients."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.arguments import kept_arguments
from keras_bidalle.validation import check_at_least, check_positive


def _horovod():
    import horovod.tensorflow as hvd

    return hvd


def broadcast_state(model: keras.Model) -> None:
    """Gives all processes the first one's state of a model.

    Weights, what no optimizer trains (codebooks, their statistics, seed
    generators), and the optimizer's state.

    Args:
        model: a built and compiled `keras.Model`, the same on all processes.

    Raises:
        ValueError: if the model is not built: weights made later would not
            be the first process's.
    """
    if not model.built:
        raise ValueError(
            "`model` must be built before its state is broadcast: call it, "
            "or its `build`. Received: built=False"
        )
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    _horovod().broadcast_variables(
        [variable.value for variable in variables], root_rank=0
    )


class BroadcastState(keras.callbacks.Callback):
    """Broadcasts the first process's state when training begins."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        broadcast_state(self.model)


class AverageMetrics(keras.callbacks.Callback):
    """Makes the logs of an epoch those of all processes, on each of them.

    To come before the callbacks that read logs.
    """

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        import tensorflow as tf

        hvd = _horovod()
        if not logs:
            return
        names = sorted(logs)
        values = tf.constant([float(logs[name]) for name in names], "float64")
        means = hvd.allreduce(values, op=hvd.Average).numpy()
        logs.update(zip(names, means.tolist(), strict=True))


@keras.saving.register_keras_serializable(package="keras_bidalle")
class ScaledLearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A rate times the number of replicas, reached gradually.

    For runs that give each replica a whole batch, so that the global batch
    grows with their number. The rate rises from that of one replica on a
    line. A schedule and not a callback: it is part of the step, and a
    resumed run needs no memory of it.

    Args:
        learning_rate: float, or a
            `keras.optimizers.schedules.LearningRateSchedule`, that of one
            replica.
        num_replicas: int.
        warmup_steps: int, after how many steps the rate is whole.

    Raises:
        ValueError: if `num_replicas` is not positive or `warmup_steps` is
            negative.

    Example:

    ```python
    distribution = keras_bidalle.training.distribute("horovod")
    rate = ScaledLearningRate(1e-3, distribution.num_replicas, 500)
    model.compile(keras.optimizers.Adam(rate))
    ```

    Reference:
        [Accurate, Large Minibatch SGD](https://arxiv.org/abs/1706.02677),
        section 2.2.
    """

    def __init__(
        self, learning_rate: Any, num_replicas: int, warmup_steps: int = 0
    ) -> None:
        super().__init__()
        check_positive(num_replicas=num_replicas)
        check_at_least(0, warmup_steps=warmup_steps)
        self.learning_rate = learning_rate
        self.num_replicas = num_replicas
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        rate = self.learning_rate
        if callable(rate):
            rate = rate(step)
        risen = 1.0
        if self.warmup_steps:
            risen = ops.minimum(
                ops.cast(step, "float32") / self.warmup_steps, 1.0
            )
        return rate * (1.0 + (self.num_replicas - 1) * risen)

    def get_config(self) -> dict[str, Any]:
        rate = keras.saving.serialize_keras_object(self.learning_rate)
        return {**kept_arguments(self), "learning_rate": rate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScaledLearningRate":
        rate = keras.saving.deserialize_keras_object(config["learning_rate"])
        return cls(**{**config, "learning_rate": rate})
