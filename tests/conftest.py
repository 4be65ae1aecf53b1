"""What the tests share: seeds and the golden cases."""

import gc
import os
import pathlib
import subprocess
import sys

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests run beside each other; threads of each would only get in the
    # way. Read when the backends are imported, also by child processes.
    for name in (
        "OMP_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        os.environ.setdefault(name, "1")

# Tests compile many programs and run each a few times: half the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
)

import keras
import pytest

keras.config.disable_traceback_filtering()


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(42)


@pytest.fixture(autouse=True, scope="module")
def compiled_programs_freed():
    """What a module compiled is not kept to the end: gigabytes in all."""
    yield
    keras.backend.clear_session()
    if keras.config.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()


TWO_DEVICES = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
devices = ["CPU:0", "CPU:1"]
"""


@pytest.fixture
def two_devices():
    """Runs a program for TensorFlow with two devices; it must end well."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("tf.distribute is TensorFlow's")

    def run(code):
        # A process of its own: devices are split before TensorFlow starts.
        subprocess.run([sys.executable, "-c", TWO_DEVICES + code], check=True)

    return run


@pytest.fixture(scope="session")
def shared_dir():
    """The folder with full golden cases and real data, if it is there."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared"
    folder = pathlib.Path(os.environ.get("KERAS_BIDALLE_SHARED", default))
    if not (folder / "reference").is_dir():
        pytest.skip(f"no golden cases: {folder} (KERAS_BIDALLE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden_dir():
    """The small golden cases, which are part of the project."""
    return pathlib.Path(__file__).parent / "golden"


@pytest.fixture(scope="session", params=["small", "full"])
def reference_dir(request):
    """The small golden cases, then the full ones if they are there."""
    if request.param == "small":
        return request.getfixturevalue("golden_dir")
    return request.getfixturevalue("shared_dir") / "reference"
