"""What a run consists of, read and put back variable by variable."""

import pathlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import backend_name
from keras_bidalle.backend.optimizers import constant_rates
from keras_bidalle.messages import one_line


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


class NotFinite(ValueError):
    """The loss of a run, or its weights, are not finite."""


def not_finite(model: keras.Model, arrays: list) -> list[str]:
    """The weights whose values, given those of all variables, are not."""
    weights = {id(weight) for weight in model.weights}
    # A sum passes over an array without a copy.
    with np.errstate(over="ignore", invalid="ignore"):
        return [
            variable.path
            for variable, array in zip(model.variables, arrays, strict=True)
            if id(variable) in weights
            and not np.isfinite(array.sum(dtype="float64"))
        ]


def learning_rates(optimizer: keras.optimizers.Optimizer) -> dict[str, list]:
    """Constant rates: places in the optimizer's variables, and values."""
    rates = constant_rates(optimizer)
    places = [
        place
        for place, variable in enumerate(optimizer.variables)
        if any(variable is rate for rate in rates)
    ]
    values = [float(as_array(optimizer.variables[at])) for at in places]
    return {"places": places, "values": values}


def assign_optimizer(
    optimizer: keras.optimizers.Optimizer,
    arrays: list,
    began: dict[str, list] | None,
    path: pathlib.Path,
) -> None:
    """Puts an optimizer's state back, but for a rate that is newly chosen.

    `began` is what `learning_rates` told when the run began, before any
    callback changed a rate; `None` where the checkpoint does not know.
    """
    now = learning_rates(optimizer)
    places = now["places"] if began is None else began["places"]
    rates = [float(array) for at, array in enumerate(arrays) if at in places]
    variables = enumerate(optimizer.variables)
    assign_all(
        [variable for at, variable in variables if at not in now["places"]],
        [array for at, array in enumerate(arrays) if at not in places],
        "optimizer",
        path,
    )
    if began is None or began["values"] == now["values"]:
        for at, rate in zip(now["places"], rates, strict=True):
            optimizer.variables[at].assign(rate)
        if began is None and rates != now["values"]:
            print(f"The learning rate is {_told(rates)}, as {path} has it.")
    else:
        print(
            f"The learning rate is {_told(now['values'])} from here on; "
            f"{path} had {_told(rates)}."
        )


def _told(rates):
    return ", ".join(f"{rate:g}" for rate in rates) or "that of a schedule"


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
            one_line(
                f"Checkpoint {path} does not fit the {what}: {detail}. It "
                "comes from another configuration: start in another folder."
            )
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
