"""How long a stage is: what was asked for, step by step."""

import pytest

from keras_bidalle.configurations import generator_training
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
