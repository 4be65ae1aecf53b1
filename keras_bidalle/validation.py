"""What user-facing calls accept, checked in one place.

Models compute on float32 images in [-1, 1]; people hold uint8 ones. Every
public call that takes images or codes goes through here, so that a wrong
range or size is told by name instead of giving a strange image.
"""

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.messages import one_line, shown

# A decoder's output may overshoot 1 by rounding; images in [0, 255] may not
# pass.
LARGEST_PIXEL = 1.01
# What the names of a number of a model's parts end with, in configurations of
# this library and of published programs.
_PART_COUNTS = ("depth", "blocks", "levels", "layers", "layer", "group_count")


def as_array(name: str, value: Any) -> np.ndarray:
    """An argument as a NumPy array; a `ValueError` if it cannot be one."""
    try:
        return np.asarray(ops.convert_to_numpy(value))
    except Exception as error:  # Backends raise many kinds.
        raise ValueError(
            f"`{name}` must be a number or an array. "
            f"Received: {name}={shown(value)}"
        ) from error


def refused(
    expected: str, of: str | None = None, **received: Any
) -> ValueError:
    """The error of an argument: what was expected of it, and what came.

    Args:
        expected: str, what goes on after "must".
        of: str, the argument; by default the first of `received`.
        **received: values by name.
    """
    came = ", ".join(f"{key}={shown(value)}" for key, value in received.items())
    name = next(iter(received)) if of is None else of
    return ValueError(one_line(f"`{name}` must {expected}. Received: {came}"))


def check_choice(known: Iterable[Any], **values: Any) -> None:
    """Raises a `ValueError` unless all arguments are among those known."""
    choices = tuple(known)
    for name, value in values.items():
        try:
            is_known = value in choices
        except Exception:  # An array is compared number by number.
            is_known = False
        if not is_known:
            listed = ", ".join(map(str, choices))
            raise refused(f"be one of {listed}", **{name: value})


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, of Python or NumPy, and no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_positive(**values: Any) -> None:
    """Raises a `ValueError` unless all arguments are positive integers."""
    for name, value in values.items():
        if not is_integer(value) or value < 1:
            raise refused("be a positive integer", **{name: value})


def check_positive_or_none(**values: Any) -> None:
    """Raises a `ValueError` unless all are positive integers or `None`."""
    for name, value in values.items():
        if value is not None:
            check_positive(**{name: value})


def check_count(**values: Any) -> None:
    """Raises a `ValueError` unless all arguments are integers from 0 on."""
    for name, value in values.items():
        if not is_integer(value) or value < 0:
            raise refused("be an integer of at least 0", **{name: value})


def as_integers(minimum: int = 1, **values: Any) -> tuple[int, ...]:
    """The one argument, a sequence of integers, as a tuple of int.

    Raises:
        ValueError: if it is no sequence, or one is below `minimum`.
    """
    ((name, value),) = values.items()
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    is_sequence |= isinstance(value, np.ndarray) and value.ndim > 0
    if not is_sequence or not all(
        is_integer(one) and one >= minimum for one in value
    ):
        expected = f"be a sequence of integers of at least {minimum}"
        raise refused(expected, **{name: value})
    return tuple(int(one) for one in value)


def check_flag(**values: Any) -> None:
    """Raises a `ValueError` unless all are True or False.

    Any other value would pass as one of them: "no" as True.
    """
    for name, value in values.items():
        if not isinstance(value, bool | np.bool_):
            raise refused("be True or False", **{name: value})


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, of Python or NumPy, and no bool."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    # Integers may be too large for `isfinite`.
    return is_integer(value) or math.isfinite(value)


def check_at_least(minimum: float = 0.0, **values: Any) -> None:
    """Raises a `ValueError` unless all are finite numbers from `minimum` on."""
    for name, value in values.items():
        if not is_number(value) or not value >= minimum:
            expected = f"be a number of at least {minimum:g}, and finite"
            raise refused(expected, **{name: value})


_OF_OTHER_LOSSES: tuple[str, ...] = (
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
)
_OF_OTHER_LOSSES += ("y", "sample_weight", "class_weight")


def check_own_loss(**given: Any) -> None:
    """Raises a `ValueError` on what a model that has its loss cannot heed."""
    for name in _OF_OTHER_LOSSES:
        if given.get(name) is not None:
            raise ValueError(
                f"`{name}` must be None: the model has its own loss, which "
                "weighs rows and tokens by itself. "
                f"Received: {name}={shown(given[name])}"
            )


def check_image_dtype(dtype: Any, name: str = "images") -> str:
    """The name of an image dtype; `TypeError` unless uint8 or floating."""
    found = str(getattr(dtype, "name", dtype)).rpartition(".")[2]
    if found != "uint8" and not found.startswith(("float", "bfloat")):
        raise TypeError(
            f"`{name}` must be uint8 in [0, 255] or floating in [-1, 1]. "
            f"Received: dtype={found}"
        )
    return found


def check_image_range(low: float, high: float, name: str = "images") -> None:
    """Raises a `ValueError` unless floating images lie in [-1, 1]."""
    # Written so that NaN is refused too.
    if not (low >= -LARGEST_PIXEL and high <= LARGEST_PIXEL):
        raise ValueError(
            f"Floating `{name}` must be finite and lie in [-1, 1] (pass uint8 "
            f"for [0, 255]). Received: min={low:g}, max={high:g}"
        )


def as_model_images(
    images: Any, image_shape: Sequence[int], name: str = "images"
) -> np.ndarray:
    """Images (B, *image_shape), uint8 or float, as float32 in [-1, 1].

    Raises:
        ValueError: on a wrong rank, size or range, or values not finite.
        TypeError: on a dtype that is neither uint8 nor floating.
    """
    array = np.asarray(ops.convert_to_numpy(images))
    expected = f"(batch, {', '.join(str(n) for n in image_shape)})"
    if array.ndim != 4 or tuple(array.shape[1:]) != tuple(image_shape):
        hint = (
            " One picture alone needs a batch dimension: images[None]."
            if array.ndim == 3
            else ""
        )
        raise ValueError(
            f"`{name}` must have shape {expected}, channels last. "
            f"Received: shape={tuple(array.shape)}.{hint}"
        )
    if check_image_dtype(array.dtype, name) == "uint8":
        return array.astype("float32") / 127.5 - 1.0
    array = array.astype("float32")
    if array.size:
        check_image_range(array.min(), array.max(), name)
    return array


def as_uint8_images(images: Any) -> np.ndarray:
    """Images in [-1, 1], of any shape, as uint8, rounded and clipped.

    Those that are uint8 stay as they are.
    """
    array = ops.convert_to_numpy(images)
    if array.dtype == np.uint8:
        return array
    array = np.asarray(array, dtype="float32")
    return np.clip(np.rint((array + 1.0) * 127.5), 0, 255).astype("uint8")


def as_codes(
    codes: Any,
    code_shape: Sequence[int],
    num_codes: int | Sequence[int],
    name: str = "codes",
) -> np.ndarray:
    """Codes (B, *code_shape) in [0, num_codes) as int32.

    `num_codes` may be one number for each code of a stack.

    Raises:
        ValueError: on a wrong shape or a code outside the codebook.
        TypeError: on a dtype that is not an integer.
    """
    array = as_array(name, codes)
    if tuple(array.shape[1:]) != tuple(code_shape) or array.ndim == 0:
        expected = ", ".join(str(n) for n in code_shape)
        raise ValueError(
            f"`{name}` must have shape (batch, {expected}). "
            f"Received: shape={tuple(array.shape)}"
        )
    return as_indices(array, num_codes, name)


def as_indices(
    array: np.ndarray, limit: int | Sequence[int], name: str
) -> np.ndarray:
    """Integers in [0, limit) as int32, else a `TypeError` or `ValueError`.

    `limit` may be one number for each code of a stack, the last axis.
    """
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"`{name}` must be integers. Received: dtype={array.dtype}"
        )
    most = limit if isinstance(limit, int) else max(limit)
    if array.size and (array.min() < 0 or array.max() >= most):
        raise ValueError(
            f"`{name}` must lie in [0, {most}). "
            f"Received: min={array.min()}, max={array.max()}"
        )
    if not isinstance(limit, int):
        largest = array.reshape(-1, array.shape[-1]).max(axis=0, initial=0)
        for depth, (code, size) in enumerate(zip(largest, limit, strict=False)):
            if code >= size:
                raise ValueError(
                    f"`{name}` must lie in [0, {size}) at depth {depth}. "
                    f"Received: max={code}"
                )
    return array.astype("int32")


def check_part_counts(config: Any, arrays: int) -> None:
    """Raises unless each number of parts is one that so many arrays can have.

    No model has more parts than arrays: a configuration that asks for more is
    refused before a model is made, which would take without end.

    Args:
        config: JSON values, of this library or of a published program.
        arrays: int, how many hold the weights.

    Raises:
        ValueError: on a number of parts above `arrays`, and above 64.
    """
    values = config if isinstance(config, list | tuple) else []
    if isinstance(config, Mapping):
        values = list(config.values())
        for name, value in config.items():
            counts = str(name).endswith(_PART_COUNTS) and type(value) is int
            if counts and value > max(arrays, 64):
                raise ValueError(
                    f"the configuration's {shown(name)} is {shown(value)}; "
                    f"its weights are {arrays} arrays"
                )
    for value in values:
        check_part_counts(value, arrays)
