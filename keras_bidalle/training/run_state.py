"""What a run consists of, read and put back variable by variable."""

import pathlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import backend_name


def circumstances() -> dict[str, Any]:
    """What a run depends on besides its checkpoint."""
    # JAX's program is one for all devices; `replicas` counts programs.
    distribution = keras.distribution.distribution()
    count = (
        max(replicas.planned(), replicas.data_shard()[1])
        if distribution is None
        else distribution.num_model_replicas
    )
    return {"backend": backend_name(), "replicas": count}


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
    """Prints what differs from the run that wrote a checkpoint."""
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
    """
    return replicas.data_shard()[1] > 1 and replicas.horovod() is None


def as_array(variable: keras.Variable) -> np.ndarray:
    """The whole value of a variable."""
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
    """Puts arrays into variables of the same number and shapes.

    Raises:
        ValueError: if there are more or fewer, or of other shapes; it names
            `what` the variables are of, and the `path` of the arrays.
    """
    wanted = [tuple(v.shape) for v in variables]
    found = [a.shape for a in arrays]
    if wanted != found:
        detail = f"it has {len(wanted)} variables, the checkpoint {len(found)}"
        for variable, have, want in zip(variables, found, wanted, strict=False):
            if have != want:
                detail = (
                    f"variable {variable.path} has shape {want}, the "
                    f"checkpoint's has {have}"
                )
                break
        raise ValueError(
            f"Checkpoint {path} does not fit the {what}: {detail}. It comes "
            "from another configuration: start in another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
