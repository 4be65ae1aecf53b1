"""What a run consists of, read and put back variable by variable."""

import pathlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import backend_name


def circumstances() -> dict[str, Any]:
    """dict of what a run depends on besides its checkpoint."""
    return {
        "backend": backend_name(),
        "replicas": _replicas(),
    }


def _replicas():
    # JAX's program is one for all devices; `replicas` counts programs.
    distribution = keras.distribution.distribution()
    if distribution is not None:
        return distribution.num_model_replicas
    return max(replicas.planned(), replicas.data_shard()[1])


_CONSEQUENCES = {
    "backend": (
        "random numbers and rounding are those of the new backend, so the "
        "weights will not be the ones of a run that stayed on the old one."
    ),
    "replicas": (
        "noise is drawn anew for the new number. The batches are those that "
        "the program makes now: with the same global batch the run is the "
        "same but for noise and rounding, with the same batch for each "
        "replica the global batch is another, which the learning rate may "
        "have to follow."
    ),
}


def tell_changes(path: pathlib.Path, state: dict[str, Any]) -> None:
    """Prints what differs from the run that wrote a checkpoint.

    Args:
        path: `pathlib.Path` of the checkpoint.
        state: dict, with `step` and the `circumstances` that it was written
            in.
    """
    here = circumstances()
    for name, was in state["circumstances"].items():
        if was != here[name]:
            print(
                f"Checkpoint {path} was written with {name} {was}, this run "
                f"has {here[name]}. It goes on from step {state['step']} with "
                f"all of its state; {_CONSEQUENCES[name]}"
            )


def all_hand_in() -> bool:
    """Whether all processes must take part where the state is read.

    On JAX each may have a part of the weights; under TensorFlow's strategies
    metrics are summed over the processes when they are read. Under Horovod
    each has all that it needs.

    Returns:
        bool.
    """
    return replicas.data_shard()[1] > 1 and replicas.horovod() is None


def as_array(variable: keras.Variable) -> np.ndarray:
    """The whole value of a variable, a NumPy array."""
    value = variable.value
    # JAX cannot read what is spread over the devices of other processes.
    if not getattr(value, "is_fully_addressable", True):
        if not value.is_fully_replicated:
            from jax.experimental import multihost_utils

            return multihost_utils.process_allgather(value, tiled=True)
        return np.asarray(value.addressable_data(0))
    return np.asarray(ops.convert_to_numpy(variable))


def assign_all(
    variables: list, arrays: list, what: str, path: pathlib.Path
) -> None:
    """Puts arrays into variables.

    Args:
        variables: list of `keras.Variable`.
        arrays: list of NumPy arrays.
        what: str, whose variables they are.
        path: `pathlib.Path`, where the arrays are from.

    Raises:
        ValueError: if there are more or fewer, or of other shapes.
    """
    wanted = [tuple(v.shape) for v in variables]
    found = [a.shape for a in arrays]
    if wanted != found:
        for i, (have, want) in enumerate(zip(found, wanted, strict=False)):
            if have != want:
                detail = (
                    f"variable {variables[i].path} has shape {want}, "
                    f"the checkpoint's has {have}"
                )
                break
        else:
            detail = (
                f"it has {len(wanted)} variables, the checkpoint {len(found)}"
            )
        raise ValueError(
            f"Checkpoint {path} does not fit the {what}: {detail}. It comes "
            "from another configuration: start in another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
