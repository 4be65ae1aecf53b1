"""How the arrays of a state dict belong to our variables, both ways."""

import numpy as np
from keras import ops

from keras_bidalle.backend.keras_internals import (
    variables_with_values_to_come,
    variables_without_values,
)
from keras_bidalle.converters.state_dict import not_a_tensor, unwrapped
from keras_bidalle.converters.unpickling import CheckpointError
from keras_bidalle.validation import check_part_counts

# torch's layouts of kernels and ours: the axes of a convolution.
_CONVOLUTION = (2, 3, 1, 0)


class WeightLinks:
    """Which arrays of a published checkpoint belong to which variables.

    A subclass says in `link` what happens to them: reading or writing.
    """

    def __contains__(self, name):
        raise NotImplementedError

    def link(self, variables, shapes, read, write):
        """Ties variables to the arrays that hold them.

        Args:
            variables: list of `keras.Variable`.
            shapes: dict from keys to shapes in torch's layout.
            read: callable from the arrays to a list of values.
            write: callable from the values to a list of arrays.
        """
        raise NotImplementedError

    def into(self, name, variable, shape=None, axes=None):
        """One array for one variable, the same numbers in another order.

        Args:
            name: str, its key.
            variable: `keras.Variable`.
            shape: tuple, in torch's layout; by default the variable's.
            axes: tuple, how torch's axes are ordered in the variable; by
                default as they are.
        """
        ours = tuple(variable.shape)
        shape = ours if shape is None else shape
        axes = tuple(range(len(shape))) if axes is None else axes
        turned = [shape[axis] for axis in axes]
        self.link(
            [variable],
            {name: shape},
            lambda array: [array.transpose(axes).reshape(ours)],
            lambda value: [value.reshape(turned).transpose(np.argsort(axes))],
        )

    def convolution(self, name, layer):
        """`<name>.weight` and, where there is one, `<name>.bias`."""
        height, width, inputs, outputs = layer.kernel.shape
        shape = (outputs, inputs, height, width)
        self.into(f"{name}.weight", layer.kernel, shape, _CONVOLUTION)
        if layer.use_bias:
            self.into(f"{name}.bias", layer.bias)

    def pointwise(self, name, layer):
        """A 1x1 convolution for a Dense layer with bias."""
        self.pointwise_kernel(name, layer.kernel)
        self.into(f"{name}.bias", layer.bias)

    def pointwise_kernel(self, name, kernel):
        """A 1x1 convolution's weight for a variable (in, out)."""
        shape = (*reversed(kernel.shape), 1, 1)
        self.into(f"{name}.weight", kernel, shape, _CONVOLUTION)

    def transposed(self, name, kernel):
        """A weight (out, in) for a variable (in, out)."""
        self.into(name, kernel, tuple(reversed(kernel.shape)), (1, 0))

    def linear(self, name, layer, has_bias=True):
        """`<name>.weight` and, where both have one, `<name>.bias`."""
        self.transposed(f"{name}.weight", layer.kernel)
        if layer.use_bias and has_bias:
            self.into(f"{name}.bias", layer.bias)

    def norm(self, name, layer):
        """`<name>.weight` and `<name>.bias` for gamma and beta."""
        self.into(f"{name}.weight", layer.gamma)
        self.into(f"{name}.bias", layer.beta)

    def batch_norm(self, name, layer):
        """A batch normalization with its moving statistics."""
        self.norm(name, layer)
        self.into(f"{name}.running_mean", layer.moving_mean)
        self.into(f"{name}.running_var", layer.moving_variance)
        self.ignore(f"{name}.num_batches_tracked")

    def joined(self, names, variable, transform=np.asarray):
        """Arrays of one shape, each transformed, beside each other.

        Args:
            names: list of str, their keys.
            variable: `keras.Variable`, which holds them along its last axis.
            transform: callable that undoes itself, such as `np.transpose`.
        """
        *rest, width = variable.shape
        shape = _shape(transform, (*rest, width // len(names)))
        self.link(
            [variable],
            dict.fromkeys(names, shape),
            lambda *arrays: [np.concatenate([*map(transform, arrays)], -1)],
            lambda value: map(transform, np.split(value, len(names), -1)),
        )

    def split(self, name, variables, transform=np.asarray):
        """One array whose last axis, transformed, goes on in variables.

        Args:
            name: str, its key.
            variables: list of `keras.Variable`.
            transform: as in `joined`.
        """
        *rest, _ = variables[0].shape
        widths = [variable.shape[-1] for variable in variables]
        ends = np.cumsum(widths)
        shape = _shape(transform, (*rest, ends[-1]))
        self.link(
            variables,
            {name: shape},
            lambda array: np.split(transform(array), ends[:-1], -1),
            lambda *values: [transform(np.concatenate(values, -1))],
        )

    def constant(self, name, value, atol=1e-6):
        """An array that must have a known value, but for `atol`."""
        value = np.asarray(ops.convert_to_numpy(value))

        def check(array):
            if not np.allclose(array, value, atol=atol):
                raise ValueError(
                    f"The key {name!r} of the checkpoint of {self.source} "
                    "holds a constant of another program than is known here."
                )
            return []

        self.link([], {name: value.shape}, check, lambda: [value])


def _shape(transform, shape):
    """The shape of a transformed array, without making one."""
    return transform(np.broadcast_to(False, shape)).shape


class StateDictReader(WeightLinks):
    """Assigns each array of a state dict once, and knows which are left.

    Args:
        state_dict: dict from key to array, in torch's layouts.
        source: str, what the weights are of, for error messages.
        *anchors: str, keys of which the program always has one: what stands
            before them is a wrapper's.
    """

    def __init__(self, state_dict, source, *anchors):
        self.state_dict = unwrapped(state_dict, anchors)
        self.source = source
        self._left = set(self.state_dict)

    def __contains__(self, name):
        return name in self.state_dict

    def shape(self, name, rank):
        """The shape of an array that is there to be taken later."""
        shape = tuple(getattr(self.state_dict.get(name), "shape", ()))
        if name not in self or rank not in (None, len(shape)):
            found = f"shape={shape}" if name in self else "none"
            raise ValueError(
                f"The checkpoint of {self.source} must have the key {name!r} "
                f"with {rank} dimensions. Received: {found}"
            )
        return shape

    def array(self, name, shape):
        """Takes one array, which must have a shape (`None` for any size)."""
        if name not in self.state_dict:
            raise ValueError(
                f"The checkpoint of {self.source} has no key {name!r}, of "
                f"shape {tuple(shape)}. Is it of this program, and is the "
                "configuration its own?"
            )
        if name not in self._left:
            raise ValueError(f"The key {name!r} was used twice.")
        if not hasattr(self.state_dict[name], "shape"):
            raise CheckpointError(not_a_tensor(name, self.state_dict[name]))
        found = tuple(self.state_dict[name].shape)
        if len(found) != len(shape) or any(
            wanted not in (None, size)
            for wanted, size in zip(shape, found, strict=True)
        ):
            raise ValueError(
                f"The key {name!r} of the checkpoint of {self.source} must "
                f"have shape {tuple(shape)} by the configuration. "
                f"Received: shape={found}"
            )
        self._left.remove(name)
        return self.state_dict[name]

    def link(self, variables, shapes, read, write):
        arrays = [np.asarray(self.array(*item)) for item in shapes.items()]
        for variable, value in zip(variables, read(*arrays), strict=True):
            variable.assign(value)

    def copy_of(self, name, original):
        """Takes an array that must be the same as that of another key."""
        expected = np.asarray(self.state_dict[original])
        found = np.asarray(self.array(name, expected.shape))
        if not np.array_equal(found, expected):
            raise ValueError(
                f"The key {name!r} of the checkpoint of {self.source} must "
                f"hold the same weight as {original!r} by the configuration."
            )

    def ignore(self, *prefixes):
        """Leaves out the keys that begin with one of `prefixes`."""
        self._left = {n for n in self._left if not n.startswith(prefixes)}

    def finish(self):
        """Raises a `ValueError` when keys are left that nobody took."""
        if self._left:
            names = sorted(self._left)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ValueError(
                f"The checkpoint of {self.source} has keys that the "
                f"configuration leaves no place for: {names[:3]}{more}."
            )


class _ShapeChecker(StateDictReader):
    """Takes the keys that a model needs, without reading an array."""

    def link(self, variables, shapes, read, write):
        for name, shape in shapes.items():
            self.array(name, shape)

    def copy_of(self, name, original):
        self.array(name, self.shape(original, None))


def converted(state_dict, config, source, anchors, build, link):
    """A model with the weights of a state dict.

    Shapes are compared with a model that is made without memory for its
    weights, before one is made and an array is read.

    Args:
        state_dict, source, anchors: as of `StateDictReader`.
        config: dict, the published configuration.
        build: callable from the reader, which knows shapes, to a model.
        link: callable (`WeightLinks`, model) that links all of it.
    """
    checker = _ShapeChecker(state_dict, source, *anchors)
    check_part_counts(config, len(checker.state_dict))
    with variables_without_values():
        link(checker, build(checker))
    checker.finish()
    reader = StateDictReader(state_dict, source, *anchors)
    with variables_with_values_to_come():
        model = build(reader)
    link(reader, model)
    reader.finish()
    return model
