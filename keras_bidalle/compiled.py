"""One way to run a function of some layers fast, whatever the backend.

Encoding a data set or sampling a picture calls the same pure function of
the weights over and over. Each backend has its own way to make that fast
and only this module knows them:

- JAX traces it once with the weights as arguments (a closure would bake
  them in as constants, and a later `fit` would not be seen);
- TensorFlow makes a `tf.function`, which reads variables when it runs;
- torch runs it as it is, without recording gradients.
"""

import functools

import keras
import numpy as np
from keras import ops


def compiled(function, layers, xla=False, **static):
    """Returns `function` compiled for inference.

    The function is traced once for every combination of shapes and dtypes
    of its arguments. It may read the state of `layers` and nothing else
    that changes. What it writes to their state is dropped on JAX, so it
    should write none.

    Args:
        function: callable of tensors (or nested structures of them) to
            tensors, written with `keras.ops` and calls of `layers`.
        layers: list of built `keras.layers.Layer` (models too) whose weights
            the function reads.
        xla: bool, whether TensorFlow compiles with XLA. JAX always does and
            torch never does.
        **static: Python values given to the function by keyword at every
            call.

    Returns:
        A callable with the positional arguments of `function`. It gives
        tensors of the backend.

    Example:

    ```python
    encode = compiled(lambda x: quantizer.encode(encoder(x)),
                      [encoder, quantizer])
    codes = keras.ops.convert_to_numpy(encode(images))
    ```
    """
    function = functools.partial(function, **static)
    backend = keras.config.backend()
    if backend == "jax":
        return _compiled_by_jax(function, layers)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla, reduce_retracing=False)
    if backend == "torch":
        import torch

        return torch.no_grad()(function)
    return function


def in_batches(function, inputs, batch_size, prepare, empty):
    """Runs a compiled function over any number of rows, in few shapes.

    The last batch is filled up, and a small number of rows is rounded up
    to a power of two, so that few shapes are ever compiled.

    Args:
        function: what `compiled` gave, of one tensor.
        inputs: array (B, ...).
        batch_size: int, how many rows are processed at once.
        prepare: callable, makes a few rows what `function` takes.
        empty: NumPy array (0, ...), the result for no rows.

    Returns:
        NumPy array (B, ...).
    """
    rows = inputs.shape[0]
    batch_size = min(batch_size, 1 << max(rows - 1, 0).bit_length())
    results = [empty]
    for start in range(0, rows, batch_size):
        part = prepare(inputs[start : start + batch_size])
        count = len(part)
        if count < batch_size:
            part = np.concatenate(
                [part, part[:1].repeat(batch_size - count, 0)]
            )
        result = function(ops.convert_to_tensor(part))
        results.append(ops.convert_to_numpy(result)[:count])
    return np.concatenate(results)


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
