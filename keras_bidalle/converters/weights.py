"""Moves the arrays of a state dict into our variables, each exactly once."""

import numpy as np
from keras import ops


class StateDictReader:
    """Hands out the arrays of a state dict and knows which are left.

    Args:
        state_dict: dict from parameter name to NumPy array, in torch's
            layouts.
        source: str, what the weights are of, for error messages.
    """

    def __init__(self, state_dict, source):
        self.state_dict = {
            name: np.asarray(value) for name, value in state_dict.items()
        }
        self.source = source
        self._left = set(self.state_dict)

    def __contains__(self, name):
        return name in self.state_dict

    def shape(self, name, rank):
        """The shape of an array that is there to be taken later.

        Args:
            name: str, its key.
            rank: int, its number of dimensions.

        Returns:
            tuple of int.

        Raises:
            ValueError: when there is no such key, or of another rank.
        """
        array = self.state_dict.get(name)
        if array is None or array.ndim != rank:
            found = "none" if array is None else f"shape={array.shape}"
            raise ValueError(
                f"The checkpoint of {self.source} must have the key {name!r} "
                f"with {rank} dimensions. Received: {found}"
            )
        return array.shape

    def array(self, name, shape):
        """Takes one array.

        Args:
            name: str, its key.
            shape: tuple of int or None (any), in torch's layout.

        Returns:
            NumPy array.

        Raises:
            ValueError: when there is no such key, it was taken before, or
                it has another shape.
        """
        if name not in self.state_dict:
            raise ValueError(
                f"The checkpoint of {self.source} has no key {name!r}, of "
                f"shape {tuple(shape)}. Is it of this program, and is the "
                "configuration its own?"
            )
        if name not in self._left:
            raise ValueError(f"The key {name!r} was used twice.")
        array = self.state_dict[name]
        if len(array.shape) != len(shape) or any(
            wanted is not None and wanted != found
            for wanted, found in zip(shape, array.shape, strict=True)
        ):
            raise ValueError(
                f"The key {name!r} of the checkpoint of {self.source} must "
                f"have shape {tuple(shape)} by the configuration. "
                f"Received: shape={array.shape}"
            )
        self._left.remove(name)
        return array

    def into(self, name, variable, from_shape=None, transform=None):
        """Assigns one array to a variable.

        Args:
            name: str, its key.
            variable: `keras.Variable`.
            from_shape: tuple, the shape in torch's layout, that of the
                variable by default.
            transform: callable from torch's layout to the variable's.
        """
        shape = tuple(variable.shape) if from_shape is None else from_shape
        array = self.array(name, shape)
        variable.assign(array if transform is None else transform(array))

    def convolution(self, name, layer):
        """Assigns `<name>.weight` and, where there is one, `<name>.bias`.

        Args:
            name: str, the module's name.
            layer: a built `keras.layers.Conv2D`.
        """
        height, width, inputs, outputs = layer.kernel.shape
        self.into(
            f"{name}.weight",
            layer.kernel,
            from_shape=(outputs, inputs, height, width),
            transform=lambda array: array.transpose(2, 3, 1, 0),
        )
        if layer.use_bias:
            self.into(f"{name}.bias", layer.bias)

    def pointwise(self, name, layer):
        """Assigns a 1x1 convolution to a `keras.layers.Dense` with bias."""
        self.pointwise_kernel(name, layer.kernel)
        self.into(f"{name}.bias", layer.bias)

    def pointwise_kernel(self, name, kernel):
        """Assigns a 1x1 convolution's weight to a variable (in, out)."""
        inputs, outputs = kernel.shape
        self.into(
            f"{name}.weight",
            kernel,
            from_shape=(outputs, inputs, 1, 1),
            transform=lambda array: array[:, :, 0, 0].T,
        )

    def linear(self, name, layer, has_bias=True):
        """Assigns `<name>.weight` and `<name>.bias` to a Dense layer.

        Args:
            name: str, the module's name.
            layer: a built `keras.layers.Dense`.
            has_bias: bool, whether the module has a bias, if the layer does.
        """
        inputs, outputs = layer.kernel.shape
        self.into(
            f"{name}.weight",
            layer.kernel,
            from_shape=(outputs, inputs),
            transform=np.transpose,
        )
        if layer.use_bias and has_bias:
            self.into(f"{name}.bias", layer.bias)

    def norm(self, name, layer):
        """Assigns `<name>.weight` and `<name>.bias` to gamma and beta."""
        self.into(f"{name}.weight", layer.gamma)
        self.into(f"{name}.bias", layer.beta)

    def batch_norm(self, name, layer):
        """Assigns a batch normalization with its moving statistics."""
        self.norm(name, layer)
        self.into(f"{name}.running_mean", layer.moving_mean)
        self.into(f"{name}.running_var", layer.moving_variance)
        self.ignore(f"{name}.num_batches_tracked")

    def constant(self, name, value, atol=1e-6):
        """Takes an array that must have a known value, but for `atol`.

        Raises:
            ValueError: when it has another one.
        """
        value = np.asarray(ops.convert_to_numpy(value))
        if not np.allclose(self.array(name, value.shape), value, atol=atol):
            raise ValueError(
                f"The key {name!r} of the checkpoint of {self.source} holds "
                "a constant of another program than the one known here."
            )

    def copy_of(self, name, original):
        """Takes an array that must be the same as that of another key.

        Args:
            name: str, its key.
            original: str, the key of the weight that the program shares.

        Raises:
            ValueError: when it is not the same.
        """
        expected = self.state_dict[original]
        if not np.array_equal(self.array(name, expected.shape), expected):
            raise ValueError(
                f"The key {name!r} of the checkpoint of {self.source} must "
                f"hold the same weight as {original!r} by the configuration."
            )

    def ignore(self, *prefixes):
        """Leaves out the keys that begin with one of `prefixes`."""
        self._left = {
            name for name in self._left if not name.startswith(prefixes)
        }

    def finish(self):
        """Raises a `ValueError` when keys are left that nobody took."""
        if self._left:
            names = sorted(self._left)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ValueError(
                f"The checkpoint of {self.source} has keys that the "
                f"configuration leaves no place for: {names[:3]}{more}."
            )
