"""The training program: both stages of any task, in any configuration."""

from keras_bidalle.programs.command_line import (
    add_lpips,
    add_measuring,
    add_run,
    add_sampling,
    add_settings,
    add_start,
    add_training,
    check_image_shape,
    configured,
    distributed,
    make_parser,
    plan_of,
    run_settings,
    sampling_of,
    use_lpips,
)
from keras_bidalle.programs.data_options import (
    add_captions,
    add_source,
    check_source_options,
    divided,
    image_task,
    source_of,
    tell_notes,
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
    "add_lpips",
    "add_measuring",
    "add_run",
    "add_sampling",
    "add_settings",
    "add_source",
    "add_start",
    "add_training",
    "check_image_shape",
    "check_source_options",
    "configured",
    "distributed",
    "divided",
    "image_task",
    "make_parser",
    "plan_of",
    "image_tokenizer_of",
    "policy",
    "preset_of",
    "run_settings",
    "sampling_of",
    "source_of",
    "tell_notes",
    "tokenizer_beside",
    "train",
    "use_lpips",
]
