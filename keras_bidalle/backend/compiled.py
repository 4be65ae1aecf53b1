"""One way to run a function of some layers fast, whatever the backend.

JAX traces it with the weights as arguments (a closure would bake them in as
constants, and a later `fit` would not be seen); TensorFlow makes a
`tf.function`, which reads variables when it runs; torch runs it as it is,
without recording gradients.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.current import backend_name
from keras_bidalle.backend.forks import check_not_forked
from keras_bidalle.backend.programs import Programs
from keras_bidalle.validation import check_positive


def compiled(
    function: Callable[..., Any], layers: list, xla: bool = False
) -> Callable[..., Any]:
    """Returns `function` compiled for inference, traced once for each shape.

    It may read the state of `layers`, built ones, and nothing else that
    changes; it is traced again where they compute something else than before:
    layers that were replaced, quantized, frozen or given adapters. What it
    writes to their state is dropped on JAX. `xla` is for TensorFlow.
    """
    backend = backend_name()
    if backend == "jax":
        return Programs(lambda: _compiled_by_jax(function, layers), layers)
    if backend == "tensorflow":
        import tensorflow as tf

        return Programs(
            lambda: tf.function(
                function, jit_compile=xla, reduce_retracing=False
            ),
            layers,
        )
    if backend == "torch":
        import torch

        return torch.no_grad()(function)
    return function


def in_batches(
    function: Callable[..., Any],
    inputs: np.ndarray,
    batch_size: int,
    prepare: Callable[[Any], np.ndarray],
    empty: np.ndarray,
) -> np.ndarray:
    """Runs a compiled function over any number of rows, in few shapes.

    `prepare` makes a few rows of `inputs` (B, ...) what `function` takes;
    `empty` (0, ...) is the result for no rows. Returns an array (B, ...).
    """
    results = [empty]
    for rows, count in row_batches(inputs.shape[0], batch_size):
        part = prepare(inputs[rows[0] : rows[0] + count])
        if count < len(rows):
            part = np.concatenate([part, part[:1].repeat(len(rows) - count, 0)])
        result = function(ops.convert_to_tensor(part))
        results.append(ops.convert_to_numpy(result)[:count])
    return np.concatenate(results)


def row_batches(
    count: int, batch_size: int, calls: int = 1
) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of one size, for any number of rows, in few sizes over all.

    A small number of rows is rounded up to a power of two, and the batch cut
    into `calls` equal parts. Yields the int indices of a batch's rows, with
    the last row again where there are no more, and how many are meant.
    """
    check_positive(batch_size=batch_size)
    check_not_forked()
    batch_size = min(batch_size, 1 << max(count - 1, 0).bit_length())
    batch_size = -(-batch_size // calls)
    for start in range(0, count, batch_size):
        rows = np.arange(start, start + batch_size)
        yield np.minimum(rows, count - 1), min(batch_size, count - start)


def calls_at_once(rows: int) -> int:
    """How many calls, from as many threads, compute so many rows fastest.

    JAX runs most of a small program on one core of a CPU: what reads caches
    and weights more than it multiplies. Elsewhere one call has all cores, or
    the accelerator.
    """
    if backend_name() != "jax":
        return 1
    import jax

    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), rows // 2))


def _compiled_by_jax(function, layers):
    import jax

    variables = list(
        {id(v): v for layer in layers for v in layer.variables}.values()
    )

    @jax.jit
    def stateless(values, *arguments):
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    def call(*arguments):
        return stateless([v.value for v in variables], *arguments)

    return call
