"""Installation of keras_bidalle: `pip install .`."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).resolve().parent


def read(name):
    path = HERE / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def version():
    source = read("keras_bidalle/version.py")
    return re.search(r'^__version__ = "(.+)"', source, re.MULTILINE)[1]


setup(
    name="keras_bidalle",
    version=version(),
    description=(
        "Bidirectional generation between image and text with discrete "
        "image tokens, in Keras 3"
    ),
    long_description=read("README.md"),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["keras_bidalle", "keras_bidalle.*"]),
    # What `load` knows by name must be there without a network.
    package_data={"keras_bidalle.presets": ["*/*.json", "*/*.h5", "*/*.md"]},
    include_package_data=False,
    # keras-hub, which keras-nlp brings, asks for it.
    python_requires=">=3.11",
    install_requires=[
        line
        for line in read("requirements.txt").splitlines()
        if line and not line.startswith("#")
    ],
    extras_require={
        "jax": ["jax>=0.7"],
        "torch": ["torch>=2.8"],
        # PyPI's source does not compile against the TensorFlow of today, and
        # never in pip's isolated build. This is the version that our script
        # builds: where it has not run, pip stops at once and names it.
        "horovod": ["horovod==0.28.1+built.by.recipes.install_horovod.sh"],
        "demo": ["gradio>=5"],
        "test": ["pytest>=8", "pytest-xdist>=3.6", "ruff>=0.12"],
    },
)
