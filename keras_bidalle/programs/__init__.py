"""The training program: both stages of any task, in any configuration."""

from keras_bidalle.programs.command_line import (
    add_measuring,
    add_run,
    add_sampling,
    add_settings,
    add_start,
    add_training,
    configured,
    distributed,
    make_parser,
    plan_of,
    run_settings,
    sampling_of,
)
from keras_bidalle.programs.data_options import (
    add_captions,
    add_source,
    image_task,
    source_of,
)
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.precision import policy
from keras_bidalle.programs.starting import (
    image_tokenizer_of,
    preset_of,
    tokenizer_beside,
)
from keras_bidalle.programs.training_program import train

__all__ = [
    "Plan",
    "add_captions",
    "add_measuring",
    "add_run",
    "add_sampling",
    "add_settings",
    "add_source",
    "add_start",
    "add_training",
    "configured",
    "distributed",
    "image_task",
    "make_parser",
    "plan_of",
    "image_tokenizer_of",
    "policy",
    "preset_of",
    "run_settings",
    "sampling_of",
    "source_of",
    "tokenizer_beside",
    "train",
]
