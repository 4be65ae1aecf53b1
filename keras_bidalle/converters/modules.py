"""Reads pickled whole modules: weights and attributes, without the program.

`torch.save(model)` pickles objects of the program's own classes, and
`torch.load` would import that program and let the pickle set up its objects.
Here each such object becomes a `ModuleRecord`, which holds what the pickle
says of it as plain data. Classes of modules are allowed by the package they
name, never looked up; any other name is an error before anything is called.
"""

import os
from collections.abc import Callable
from typing import Any

from keras_bidalle.converters.state_dict import read_content, readable
from keras_bidalle.converters.unpickling import (
    CheckpointError,
    Tensor,
    TensorUnpickler,
)

# Where the classes of torch's own modules are.
_TORCH_MODULES = "torch.nn.modules"
# Beside modules: what their attributes are made of. All of them become
# placeholders that keep nothing.
_ATTRIBUTES = {("torch", "device"), ("torch", "dtype"), ("builtins", "set")}
# A larger one is not a tree: a few objects that contain each other could
# be walked for ever.
_MAX_MODULES = 10_000


class ModuleRecord:
    """Stands for one pickled module. It has data and does nothing.

    A pickle may make one without arguments and give it its attributes, once,
    as torch's own pickles do. Whatever else it tries is an error.

    Attributes:
        class_name: str, the module's class with its package.
        attributes: dict from str to what the module held: numbers, str,
            containers, `Tensor`, other records, placeholders.
    """

    class_name = ""

    def __new__(cls, *args):
        if args:
            raise CheckpointError(f"it makes `{cls.class_name}` of arguments")
        record = super().__new__(cls)
        # Not by `__setattr__`, which is closed below.
        object.__setattr__(record, "attributes", {})
        return record

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Only calling the class comes here, not what torch's pickles do.
        raise CheckpointError(
            f"it calls `{self.class_name}`; a pickle can run code, so it "
            "was refused and nothing of it ran"
        )

    def __setstate__(self, state):
        is_plain = isinstance(state, dict) and all(
            isinstance(name, str) for name in state
        )
        if self.attributes or not is_plain:
            raise CheckpointError(
                f"it gives `{self.class_name}` something else than attributes"
            )
        self.attributes.update(state)

    def __setattr__(self, name, value):
        raise CheckpointError(f"it changes `{self.class_name}`")

    def children(self) -> Any:
        """Dict from name to `ModuleRecord`: the modules in this one."""
        return _named(self, "_modules", ModuleRecord)

    def child(self, *names: Any) -> Any:
        """The module under a path of names, or `None`."""
        module = self
        for name in names:
            module = module and module.children().get(name)
        return module

    def state_dict(self) -> Any:
        """Gives the weights of the module and all in it, by dotted names.

        Returns:
            Dict from name to NumPy array, in torch's layouts.
        """
        arrays, count = {}, 0
        waiting = [("", self)]
        while waiting:
            prefix, module = waiting.pop()
            count += 1
            if count > _MAX_MODULES:
                raise CheckpointError("its modules contain each other")
            for part in ("_parameters", "_buffers"):
                for name, tensor in _named(module, part, Tensor).items():
                    arrays[prefix + name] = tensor.numpy()
            waiting += [
                (f"{prefix}{name}.", child)
                for name, child in module.children().items()
            ]
        return arrays


def _named(module, part, kind):
    """The members of a module of one kind; absent ones are `None` there."""
    members = module.attributes.get(part) or {}
    if not isinstance(members, dict) or any(
        not isinstance(name, str)
        or not (member is None or isinstance(member, kind))
        for name, member in members.items()
    ):
        raise CheckpointError(
            f"`{part}` of a `{module.class_name}` are not what they should be"
        )
    return {n: member for n, member in members.items() if member is not None}


class ModuleUnpickler(TensorUnpickler):
    """An unpickler that knows tensors, containers and modules as records.

    Args:
        file: binary file with a pickle.
        make_storage: callable (key, dtype, size) to a `Storage`.
        packages: tuple of str, the packages of the program whose classes
            become records, beside torch's own modules.
    """

    def __init__(
        self, file: Any, make_storage: Callable[..., Any], packages: Any
    ) -> None:
        super().__init__(file, make_storage)
        self._packages = (_TORCH_MODULES, *packages)

    def stand_in(self, module: Any, name: Any) -> Any:
        # A dotted name would be a chain of attributes: no class of a program
        # is pickled under one at its top level.
        if "." not in name and any(
            module == package or module.startswith(package + ".")
            for package in self._packages
        ):
            class_name = f"{module}.{name}"
            return type(name, (ModuleRecord,), {"class_name": class_name})
        if (module, name) in _ATTRIBUTES:
            return self.placeholder()
        return self.storage_class(module, name) or self.refuse(module, name)

    def persistent_load(self, identifier: Any) -> Any:
        # Until version 1.6, torch wrote the source of a class beside it.
        if isinstance(identifier, tuple) and identifier[:1] == ("module",):
            record = identifier[1] if len(identifier) > 1 else None
            if isinstance(record, type) and issubclass(record, ModuleRecord):
                return record
        return super().persistent_load(identifier)


def read_module(path: str | os.PathLike[str], packages: Any = ()) -> Any:
    """Reads a pickled whole module as data.

    Nothing in the file is executed and no package is imported for it.

    Args:
        path: str or `pathlib.Path`, a file of `torch.save(module)`, in the
            zip format or the one before torch 1.6.
        packages: tuple of str, the packages of the program that wrote it,
            as `("dall_e",)`: its classes are taken for modules. Classes of
            `torch.nn.modules` always are.

    Returns:
        `ModuleRecord`.

    Raises:
        CheckpointError: a `ValueError`, when the file is damaged, holds
            something else than one module, or its pickle names anything but
            modules, tensors and containers.
        FileNotFoundError: when there is no such file.

    Example:

    ```python
    module = read_module("encoder.pkl", packages=("dall_e",))
    module.class_name  # "dall_e.encoder.Encoder"
    module.state_dict()["blocks.input.w"].shape  # (256, 3, 7, 7)
    ```
    """

    def unpickler(file, make_storage):
        return ModuleUnpickler(file, make_storage, packages)

    content = read_content(path, unpickler)
    if not isinstance(content, ModuleRecord):
        raise CheckpointError(
            f"`{path}` must hold a pickled module. "
            f"Received: {type(content).__name__}"
        )
    with readable(path):
        # Now, while the name of the file is known to the errors.
        content.state_dict()
    return content


__all__ = ["ModuleRecord", "ModuleUnpickler", "read_module"]
