"""How long a stage is: what was asked for, step by step."""

import pytest

from keras_bidalle import programs
from keras_bidalle.configurations import Configuration, generator_training
from keras_bidalle.programs.stage import run_length

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("steps", [1, 7, 10, 19, 20, 109, 8009])
def test_a_stage_has_the_steps_that_were_asked_for(steps):
    settings = generator_training("small-64") | {"steps": steps}
    for reports in (None, 10):
        run = run_length(settings | {"reports": reports}, records=100)
        assert run.steps == steps
        assert run.between * (run.reports - 1) + run.last == steps
        assert run.reports == min(
            reports or max(1, min(20, steps // 10)), steps
        )


def test_epochs_of_few_records_are_a_step():
    settings = generator_training("small-64") | {"steps": None, "epochs": 1}
    assert run_length(settings, records=3).steps == 1


def test_a_file_of_lpips_gives_a_training_its_loss(tmp_path):
    small = Configuration.find("small-64", "tokenizer")
    with pytest.raises(FileNotFoundError, match="--lpips"):
        programs.use_lpips(small, str(tmp_path / "none.npz"))
    assert small.training["perceptual_weight"] == 0
    file = tmp_path / "lpips.npz"
    file.touch()
    programs.use_lpips(small, str(file))
    assert small.training["perceptual_weight"] == 0.1
    # A weight that somebody chose stays.
    small.training["perceptual_weight"] = 2.0
    programs.use_lpips(small, str(file))
    assert small.training["perceptual_weight"] == 2.0
