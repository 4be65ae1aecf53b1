"""What a run that is cut leaves: a model, and the random numbers as before."""

import random

import pytest
from small_models import CAPTIONS, small_model

from keras_bidalle import commands, training
from keras_bidalle.programs.unfinished import KeepUnfinished, clear_unfinished

pytestmark = pytest.mark.any_backend


def test_the_model_so_far_is_usable(tmp_path):
    model = small_model("plain")
    made = []

    def make():
        # New layers draw their seeds.
        random.random()
        made.append(model)
        return model

    folder = training.RunFolder(tmp_path / "run", {})
    callback = KeepUnfinished(folder, make)
    state = random.getstate()
    callback.on_epoch_end(0)
    # Too soon after the first.
    callback.on_epoch_end(1)
    assert len(made) == 1 and random.getstate() == state

    found = commands.text_image_model(folder.path)
    first, second = (
        each.text_to_image(CAPTIONS[:1], seed=2) for each in (model, found)
    )
    assert (first == second).all()
    clear_unfinished(folder)
    assert not (folder / "unfinished").exists()
