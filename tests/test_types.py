"""Whatever the library exports says of what types its arguments are."""

import importlib
import inspect
import pkgutil

import pytest

import keras_bidalle

pytestmark = pytest.mark.any_backend


def exported():
    """Every public function and method of the names in `__all__`."""
    found = {}
    for module in pkgutil.walk_packages(
        keras_bidalle.__path__, "keras_bidalle."
    ):
        # A program that runs without the library.
        if module.name == "keras_bidalle.serving.check":
            continue
        module = importlib.import_module(module.name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if getattr(value, "__module__", "").startswith("keras_bidalle"):
                found.update(functions_of(value))
    return found


def functions_of(value):
    members = {"": value}
    if inspect.isclass(value):
        members = {
            f".{name}": getattr(member, "__func__", member)
            for name, member in vars(value).items()
            if name == "__init__" or not name.startswith("_")
        }
    return {
        f"{value.__module__}.{value.__qualname__}{name}": member
        for name, member in members.items()
        if inspect.isfunction(member)
    }


def untyped(function):
    parameters = inspect.signature(function).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.annotation is parameter.empty
        and parameter.name not in ("self", "cls")
    ]


def test_every_public_parameter_has_a_hint():
    found = exported()
    assert len(found) > 300
    missing = {name: untyped(f) for name, f in found.items() if untyped(f)}
    assert not missing


def test_a_missing_hint_is_found():
    def function(typed: int, bare): ...

    assert untyped(function) == ["bare"]
