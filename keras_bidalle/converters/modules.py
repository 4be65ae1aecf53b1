"""Reads pickled whole modules: weights and attributes, without the program.

`torch.save(model)` pickles objects of the program's own classes, and
`torch.load` would import that program and let the pickle set up its objects.
Here a module is a `ModuleRecord` of what the pickle says.
"""

import dataclasses
import os
from typing import Any

from keras_bidalle.converters.containers import read_content, readable
from keras_bidalle.converters.state_dict import mapping
from keras_bidalle.converters.tensors import as_tensor
from keras_bidalle.converters.unpickling import CheckpointError, Record

# Where the classes of torch's own modules are.
_TORCH_MODULES = "torch.nn.modules"
# A larger one is not a tree: a few objects that contain each other could
# be walked for ever.
_MAX_MODULES = 10_000


@dataclasses.dataclass(frozen=True)
class ModuleRecord:
    """Stands for one pickled module. It has data and does nothing.

    Attributes:
        class_name: str, the module's class with its package.
        attributes: dict from str to what the module held: numbers, str,
            containers, and records of objects.
    """

    class_name: str
    attributes: dict[str, Any]

    def children(self) -> dict[str, "ModuleRecord"]:
        """Dict from name to `ModuleRecord`: the modules in this one."""
        return self._named("_modules", _module)

    def child(self, *names: str) -> "ModuleRecord | None":
        """The module under a path of names, or `None`."""
        module: ModuleRecord | None = self
        for name in names:
            module = module and module.children().get(name)
        return module

    def tensors(self) -> dict[str, Any]:
        """The weights of the module and all in it, by dotted names.

        Returns:
            Dict from name to a tensor that `numpy.asarray` reads.
        """
        found: dict[str, Any] = {}
        count, waiting = 0, [("", self)]
        while waiting:
            prefix, module = waiting.pop()
            count += 1
            if count > _MAX_MODULES:
                raise CheckpointError("its modules contain each other")
            for part in ("_parameters", "_buffers"):
                for name, tensor in module._named(part, as_tensor).items():
                    found[prefix + name] = tensor
            children = module.children().items()
            waiting += [(f"{prefix}{n}.", child) for n, child in children]
        return found

    def state_dict(self) -> dict[str, Any]:
        """As `tensors`, but NumPy arrays, in torch's layouts."""
        return {name: one.numpy() for name, one in self.tensors().items()}

    def _named(self, part, read):
        """The members of one kind; absent ones are `None` there."""
        members = mapping(self.attributes.get(part) or {})
        if members is not None:
            found = {
                name: read(member)
                for name, member in members.items()
                if member is not None
            }
            if all(
                isinstance(name, str) and one is not None
                for name, one in found.items()
            ):
                return found
        raise CheckpointError(
            f"`{part}` of a `{self.class_name}` are not what they should be"
        )


def _module(record):
    """A `ModuleRecord` of an object with attributes, or `None`."""
    if (
        not isinstance(record, Record)
        or not record.is_made
        or record.arguments
        or len(record.states) != 1
        or not isinstance(record.states[0], dict)
        or not all(isinstance(name, str) for name in record.states[0])
    ):
        return None
    return ModuleRecord(record.name, record.states[0])


def read_module(
    path: str | os.PathLike[str], packages: tuple[str, ...] = ()
) -> ModuleRecord:
    """Reads a pickled whole module as data.

    Nothing in the file is executed and no package is imported for it.

    Args:
        path: str or `pathlib.Path`, a file of `torch.save(module)`, in the
            zip format or the one before torch 1.6.
        packages: tuple of str, the packages of the program that wrote it,
            as `("dall_e",)`, beside `torch.nn.modules`.

    Returns:
        `ModuleRecord`.

    Raises:
        CheckpointError: a `ValueError`, when the file is damaged, holds
            something else than one module of these packages, or names what
            runs code.
        FileNotFoundError: when there is no such file.

    Example:

    ```python
    module = read_module("encoder.pkl", packages=("dall_e",))
    module.class_name  # "dall_e.encoder.Encoder"
    module.state_dict()["blocks.input.w"].shape  # (256, 3, 7, 7)
    ```
    """
    content = read_content(path)
    with readable(path):
        module = _module(content)
        known = (_TORCH_MODULES, *packages)
        if module is None or not module.class_name.startswith(
            tuple(f"{package}." for package in known)
        ):
            name = getattr(content, "name", type(content).__name__)
            raise CheckpointError(
                f"it must hold a pickled module of {', '.join(known)}; "
                f"`{name}` was refused and nothing of it ran"
            )
        # Now, while the name of the file is known to the errors.
        module.tensors()
    return module
