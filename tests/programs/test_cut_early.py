"""Runs that are cut before a stage has saved anything."""

import numpy as np
import pytest
from trained import write_pictures

import keras_bidalle
from keras_bidalle import cli, training

pytestmark = pytest.mark.any_backend

SMALL = """--unmeasured --precision float32 --steps 4 --tokenizer-steps 4
--set tokenizer.reports=1 --set generator.reports=2 --held-out 0
--set tokenizer.image_shape=[32,32,3] --set tokenizer.channels=56
--set tokenizer.hidden_channels=8 --set tokenizer.num_blocks=1
--set tokenizer.quantizer.num_codes=16 --set tokenizer.batch_size=4
--set generator.batch_size=4 --set generator.width=32 --set generator.depth=1
--set generator.num_heads=2 --set generator.head_dim=16""".split()


class Killed(BaseException):
    pass


class Kills(training.RunProgress):
    """Ends the run in the first step of a stage."""

    stage: str | None = None

    def on_train_batch_end(self, batch, logs=None):
        if self.label == Kills.stage:
            Kills.stage = None
            raise Killed


def test_a_stage_that_was_cut_in_its_first_step_begins_alike(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "RunProgress", Kills)
    write_pictures(tmp_path / "digits", count=6)

    def train(name, *more):
        place = ["--output", str(tmp_path), "--name", name]
        line = ["train", str(tmp_path / "digits"), *place, *SMALL, *more]
        return cli.main(line)

    assert train("whole") == 0
    for stage in ("tokenizer", "generator"):
        Kills.stage = stage
        with pytest.raises(Killed):
            train("cut", "--resume")
    assert train("cut", "--resume") == 0
    models = [
        keras_bidalle.load(tmp_path / name / "model")
        for name in ("whole", "cut")
    ]
    for part in ("image_tokenizer", "generator"):
        weights = [getattr(model, part).get_weights() for model in models]
        for expected, found in zip(*weights, strict=True):
            np.testing.assert_array_equal(expected, found)
