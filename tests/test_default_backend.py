"""Which backend the programs take, where nobody chose one."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import keras_bidalle
from keras_bidalle.default_backend import choose_for_programs

pytestmark = pytest.mark.any_backend

ROOT = pathlib.Path(keras_bidalle.__file__).parents[1]
# As pip writes it, but for what it does in the end.
SCRIPT = """
from keras_bidalle.cli import main
import keras
print(keras.config.backend())
"""


def test_the_installed_script_takes_pytorch_before_keras_is_there(tmp_path):
    pytest.importorskip("torch")
    script = tmp_path / "keras-bidalle"
    script.write_text(SCRIPT)
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment["PYTHONPATH"] = str(ROOT)
    for name in ("KERAS_BACKEND", "KERAS_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[-1:] == ["torch"], done.stderr[-2000:]


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """From a program and Keras' file to the backend that is set, if any."""
    pytest.importorskip("torch")

    def choose(program, configured=None, named=None):
        monkeypatch.setattr(sys, "argv", [program, "x"])
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        if named is not None:
            monkeypatch.setenv("KERAS_BACKEND", named)
        if configured is not None:
            (tmp_path / "keras.json").write_text(configured)
        choose_for_programs()
        return os.environ.get("KERAS_BACKEND")

    return choose


def test_what_somebody_chose_stays(chosen):
    program = "/usr/bin/keras-bidalle"
    assert chosen(program, named="jax") == "jax"
    assert chosen(program, json.dumps({"backend": "jax"})) is None
    # Keras writes this where nobody chose.
    assert chosen(program, json.dumps({"backend": "tensorflow"})) == "torch"
    for damaged in ("[]", "{", "{}"):
        assert chosen(program, damaged) == "torch"


def test_recipes_choose_and_the_library_does_not(chosen, monkeypatch):
    assert chosen(str(ROOT / "recipes" / "generate.py")) == "torch"
    monkeypatch.chdir(ROOT / "recipes")
    assert chosen("generate.py") == "torch"
    for program in ("-c", "", "/home/me/recipes/cake.py", "keras.py"):
        assert chosen(program) is None
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "keras_bidalle.cli"])
    assert chosen("-m") == "torch"
