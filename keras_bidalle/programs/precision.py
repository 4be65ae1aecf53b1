"""In which dtype a model is trained, and how its step is compiled."""

import contextlib
import os
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_bidalle.backend.current import backend_name, has_accelerator

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


# What multiplies bfloat16 as such; elsewhere it is never faster.
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx_ne_convert")


def candidates() -> list[str]:
    """The dtype policies that may be the fastest on this machine.

    Which one is, only a step of the model tells.
    """
    cpu = pathlib.Path("/proc/cpuinfo")
    flags = cpu.read_text() if cpu.is_file() else ""
    fast = any(name in flags for name in _INSTRUCTIONS) or has_accelerator()
    return ["float32", *(["mixed_bfloat16"] if fast else [])]


def resolved(precision: str) -> str:
    """The policy that "auto" stands for where nothing is measured.

    It did so in runs that have not kept theirs, too.
    """
    if precision != "auto":
        return precision
    cpu = pathlib.Path("/proc/cpuinfo")
    fast = cpu.is_file() and "amx_bf16" in cpu.read_text()
    return "mixed_bfloat16" if fast else "float32"


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """The dtype policy of what is built inside."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(build: Callable[[], Any], trained: Any) -> Any:
    """A twin of `trained` that computes in float32, for use after training."""
    with policy("float32"):
        twin = build()
    # By way of a file, which leaves out what only training needs: the
    # discriminator, the optimizer.
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "trained.weights.h5")
        trained.save_weights(path)
        twin.load_weights(path)
    return twin


def compiled_step(wanted: bool) -> bool | str:
    """What `compile` takes as `jit_compile`.

    `wanted` says whether torch.compile is used where there is a C++ compiler.
    Other backends compile as they always do.
    """
    if backend_name() != "torch":
        return "auto"
    if not wanted:
        return False
    if not shutil.which(os.environ.get("CXX", "g++")):
        print("no C++ compiler: stage 2 trains without torch.compile")
        return False
    import torch

    # What PyTorch fails to compile runs as it is, and it says so: in bfloat16
    # it writes C++ for steps of a single row that no compiler takes.
    torch._dynamo.config.suppress_errors = True
    # Of Keras' own caches, which are safe to trace through.
    warnings.filterwarnings("ignore", message="Dynamo detected a call to a")
    print("torch.compile comes before the first step; it takes a while")
    return True
