"""What stands in the way of Keras' `fit`: private names of its trainer, 3.15.

To know the shapes of a batch, TensorFlow's averages it over the replicas,
which bool inputs do not survive, nor any batch of several workers
(keras#20585); and it averages the workers' scalars along an axis that they do
not have. `tests/training/test_distributions.py` says when Keras needs this no
more.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras

from keras_bidalle.backend.current import is_tensorflow


@functools.cache
def let_keras_fit_under_strategies() -> None:
    """Makes `fit` run under any strategy and on any inputs, once for all."""
    import tensorflow as tf
    from keras.src.backend.tensorflow import trainer

    MultiWorker = tf.distribute.MultiWorkerMirroredStrategy

    build = trainer.TensorFlowTrainer._maybe_symbolic_build
    reduce = trainer.reduce_per_replica

    def symbolic_build(self, iterator=None, data_batch=None):
        strategy = self._distribute_strategy
        if strategy is None or iterator is None:
            return build(self, iterator, data_batch)
        for _, _, batches in iterator:
            # One replica's rows tell as much of the shapes as any mean.
            data_batch = keras.tree.map_structure(
                lambda x: strategy.experimental_local_results(x)[0],
                next(batches),
            )
            break
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    def reduce_per_replica(values, strategy, reduction):
        workers = isinstance(strategy, MultiWorker)
        if reduction not in ("auto", "mean") or not workers:
            return reduce(values, strategy, reduction)
        return keras.tree.map_structure(
            lambda x: strategy.reduce("MEAN", x, axis=None), values
        )

    trainer.TensorFlowTrainer._maybe_symbolic_build = symbolic_build
    trainer.reduce_per_replica = reduce_per_replica


def make_metrics(model: keras.Model, first_batch: Callable[[], Any]) -> None:
    """Makes the metrics of `compile` before `fit` does.

    `fit` makes them before it begins, but for TensorFlow's without a
    strategy, which makes them in the first step.
    """
    metrics = model._compile_metrics
    if not is_tensorflow() or metrics is None or metrics.built:
        return
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        model._symbolic_build(data_batch=first_batch())
