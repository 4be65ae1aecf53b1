"""JAX and PyTorch train, save, load and sample without TensorFlow."""

import os
import subprocess
import sys
import textwrap

import keras
import pytest

HEAVY = ("tensorflow", "tensorflow_text", "tensorflow_datasets", "keras_hub")
PROGRAM = textwrap.dedent(
    """
    import importlib.abc, importlib.machinery, sys

    HEAVY = %r
    asked = []

    class Blocked(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path=None, target=None):
            # Asking whether it is installed is no import.
            if name.partition(".")[0] in HEAVY:
                return importlib.machinery.ModuleSpec(name, self)

        def create_module(self, spec):
            asked.append(spec.name)
            raise ImportError(f"{spec.name} is not to be imported")

        def exec_module(self, module):
            raise AssertionError("never made")

    sys.meta_path.insert(0, Blocked())

    import keras
    import numpy as np

    import keras_bidalle
    from keras_bidalle import data, training

    folder = sys.argv[1]
    model = keras_bidalle.load("bidalle-mnist", dtype="float32")
    images = model.text_to_image(["red 3 on the upper left ."], seed=0)
    assert model.image_to_text(images)
    tokenizer = model.image_tokenizer
    tokenizer.compile(keras.optimizers.SGD(1e-6))
    checkpoint = training.ResumableCheckpoint(folder + "/checkpoints")
    with training.SummaryWriter(folder + "/events") as writer:
        training.resumable_fit(
            tokenizer,
            lambda step: data.as_dataset(lambda index: images, step),
            checkpoint,
            epochs=1,
            steps_per_epoch=1,
            callbacks=[training.ScalarSummaries(writer)],
        )
    model.save_to_preset(folder + "/preset")
    again = keras_bidalle.load(folder + "/preset", dtype="float32")
    codes = [m.image_tokenizer.encode(images) for m in (model, again)]
    np.testing.assert_array_equal(*codes)
    assert not asked, asked
    """
)


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs TensorFlow"
)
def test_the_library_works_where_tensorflow_cannot_be_imported(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM % (HEAVY,), tmp_path],
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
