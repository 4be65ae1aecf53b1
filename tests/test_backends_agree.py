"""One training script, three backends (run once, under TensorFlow)."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest

RECIPE = (
    pathlib.Path(__file__).parents[1] / "recipes/checks/compare_backends.py"
)


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow",
    reason="it starts all three backends itself; once is enough",
)
def test_twenty_steps_from_the_same_weights_give_the_same_losses():
    # The recipe ends with an error beyond 1e-3, relative, at any step.
    result = subprocess.run(
        [sys.executable, str(RECIPE), "--steps", "20"],
        env={**os.environ, "PYTHONPATH": str(RECIPE.parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-500:]
