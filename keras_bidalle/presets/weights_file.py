"""What a weights file holds, known before anything is made of it."""

import pathlib
from typing import Any

import h5py
import numpy as np

from keras_bidalle.backend.keras_internals import variables_with_values_to_come
from keras_bidalle.messages import shown
from keras_bidalle.presets.making import from_config
from keras_bidalle.validation import check_part_counts

# Groups in each other; more are no model's.
_MAX_DEPTH = 40
_MAX_ARRAYS = 200_000


def stored_shapes(path: pathlib.Path) -> list[tuple[int, ...]]:
    """The shapes of a weights file's arrays.

    Args:
        path: `pathlib.Path` of a `.weights.h5` file.

    Raises:
        ValueError: if the file is damaged, names other files, or holds less
            than it claims.
    """
    shapes = []
    with h5py.File(path) as file:
        waiting = [(file, 0)]
        while waiting:
            group, depth = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{shown(name)} is a link to elsewhere")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append((item, depth + 1))
                    if depth > _MAX_DEPTH or len(waiting) > _MAX_ARRAYS:
                        raise ValueError("its groups have no end")
                    continue
                if item.is_virtual or item.external:
                    raise ValueError(f"{shown(name)} is in another file")
                if item.id.get_storage_size() < item.nbytes:
                    raise ValueError(f"{shown(name)} holds less than it claims")
                shapes.append(tuple(item.shape))
                if len(shapes) > _MAX_ARRAYS:
                    raise ValueError("its groups have no end")
    return shapes


def fitting_model(config: Any, shapes: list[tuple[int, ...]]) -> Any:
    """The model of a configuration, for weights that are read next.

    No memory is taken for its weights before they are known to be there.

    Args:
        config: dict, a serialized model.
        shapes: list of tuple, of the arrays that were stored for it.

    Raises:
        ValueError: unless the weights are those of the configuration.
    """
    check_part_counts(config, len(shapes))
    with variables_with_values_to_come():
        model = from_config(config)
        needed = sum(_size(variable.shape) for variable in model.weights)
        found = sum(map(_size, shapes))
        if needed > found:
            raise ValueError(
                "its weights do not fit its configuration, by which the model "
                f"has {needed:,} parameters and not {found:,}"
            )
    return model


def _size(shape):
    return int(np.prod(shape, dtype=object))
