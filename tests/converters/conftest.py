"""The program that converts checkpoints, as its tests call it."""

import importlib.util
import pathlib

import pytest

RECIPE = pathlib.Path(__file__).parents[2] / "recipes/convert_checkpoint.py"


@pytest.fixture(scope="package")
def recipe():
    spec = importlib.util.spec_from_file_location("convert_checkpoint", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main
