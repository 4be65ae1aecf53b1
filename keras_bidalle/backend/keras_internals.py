"""Private names of Keras' layers and state, read in version 3.15.

`tests/backend/test_keras_internals.py` fails where one has changed.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras.src.backend import in_stateless_scope
from keras.src.backend import numpy as backend_numpy
from keras.src.backend.common import global_state
from keras.src.initializers.random_initializers import RandomInitializer
from keras.src.utils import module_utils


def is_stateless() -> bool:
    """Whether state is read and written outside of variables (JAX's steps)."""
    return in_stateless_scope()


def pad(x: Any, widths: Sequence[Sequence[int]]) -> Any:
    """Adds zeros: tensor, with `[before, after]` for each of its axes.

    `keras.ops.pad` makes an object with a name of its own at each call, and
    counts names in a global. PyTorch's compiler sees that count: it compiles
    what calls it anew at each step, and gives up after eight.
    """
    return backend_numpy.pad(x, widths)


def global_seed_generator() -> keras.random.SeedGenerator | None:
    """What Keras draws from where no seed is given; `None` before the first."""
    return global_state.get_global_attribute("global_seed_generator")


@contextlib.contextmanager
def variables_without_values() -> Iterator[None]:
    """Variables that are made inside have a shape, and never a value."""
    with _waiting_variables():
        yield


@contextlib.contextmanager
def variables_with_values_to_come() -> Iterator[None]:
    """Variables that are made inside have values when it ends without error.

    They are for a model whose weights are read next. Those that begin with
    random numbers are zeros: JAX compiles a program for each shape of them,
    which takes several times as long as all the rest of loading.
    """
    with _waiting_variables() as waiting:
        yield
    for variable in waiting:
        if isinstance(variable._initializer, RandomInitializer):
            variable._initializer = _zeros
        variable._deferred_initialize()


def _zeros(shape: Any, dtype: Any = None) -> np.ndarray:
    # Not of the backend, whose zeros JAX compiles too.
    return np.zeros(shape, "float32")


@contextlib.contextmanager
def _waiting_variables() -> Iterator[list]:
    """The variables that are made inside, which have no values."""
    # Where Keras keeps variables that it is still to give values.
    name = "uninitialized_variables"
    before = global_state.get_global_attribute(name)
    made: list = []
    global_state.set_global_attribute(name, made)
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield made
    finally:
        global_state.set_global_attribute(name, before)


@contextlib.contextmanager
def without_tensorflow() -> Iterator[None]:
    """Keras does not import TensorFlow inside, unless something else has.

    Its serialization asks whether a value is one of TensorFlow's types, and
    imports all of it, half a gigabyte, to know them.
    """
    lazy = module_utils.tensorflow
    before = lazy._available
    if "tensorflow" not in sys.modules:
        lazy._available = False
    try:
        yield
    finally:
        lazy._available = before


class DrawnSeed(keras.random.SeedGenerator):
    """Gives one seed, an int tensor (2,), again and again."""

    def __init__(self, seed: Any):
        # No state of its own, so not the base's constructor. Keras' torch
        # backend asks whether a seed was chosen.
        self._initial_seed = 0
        self._seed = seed

    def next(self, ordered: bool = True) -> Any:
        return self._seed


class ReplicaLosses:
    """Keeps apart what replicas add to the loss of one layer.

    A mixin before `keras.layers.Layer`. The replicas of a `tf.distribute`
    strategy are threads that trace a layer by turns, and a turn ends where
    they exchange something. Keras has one list of losses for all of them and
    empties it when a replica begins: losses would be lost or counted twice.
    """

    # Where `Layer.add_loss` and `Layer.losses` keep and find the losses.
    @property
    def _losses(self):
        here = self._of_this_thread
        if not hasattr(here, "losses"):
            here.losses = []
        return here.losses

    @_losses.setter
    def _losses(self, losses):
        self._of_this_thread.losses = list(losses)

    @property
    def _of_this_thread(self):
        # Straight into the dict: `Layer` sets `_losses` before it can track
        # any attribute.
        return self.__dict__.setdefault("_loss_threads", threading.local())


class ReducibleBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose statistics can be changed."""

    def reduce_moments(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """What to normalize by, given a batch's mean and variance (C,)."""
        raise NotImplementedError

    def _moments(self, inputs, mask):
        return self.reduce_moments(*super()._moments(inputs, mask))
