import subprocess
import sys

import keras
import pytest

from keras_bidalle.backend.current import (
    backend_name,
    is_eager,
    is_tensorflow,
)


def test_one_place_says_which_backend_runs():
    assert backend_name() == keras.config.backend()
    assert is_tensorflow() == (backend_name() == "tensorflow")
    assert is_eager() == (backend_name() == "torch")


@pytest.mark.skipif(is_tensorflow(), reason="TensorFlow is the backend")
def test_another_backend_imports_no_tensorflow():
    # Event files are written without it too.
    program = (
        "import sys, tempfile, keras_bidalle\n"
        "from keras_bidalle import training\n"
        "writer = training.SummaryWriter(tempfile.mkdtemp())\n"
        "writer.scalar('loss', 1.0, 1)\n"
        "print({'tensorflow', 'keras_hub'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stdout + done.stderr[-2000:]
