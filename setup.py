"""Installation of keras_bidalle: `pip install .` reads pyproject.toml."""

from setuptools import setup

setup()
