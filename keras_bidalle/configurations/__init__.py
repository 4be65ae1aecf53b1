"""Models of the papers by name, and how many weights they have."""

from keras_bidalle.configurations.building import (
    as_json,
    build,
    from_json,
    is_nested,
    read_configuration,
)
from keras_bidalle.configurations.counting import count_params
from keras_bidalle.configurations.generators import (
    GENERATORS,
    generator,
    names,
)
from keras_bidalle.configurations.tokenizers import (
    TOKENIZERS,
    tokenizer,
    tokenizer_names,
)
from keras_bidalle.configurations.training_settings import (
    generator_training,
    tokenizer_training,
)

__all__ = [
    "GENERATORS",
    "TOKENIZERS",
    "as_json",
    "build",
    "count_params",
    "from_json",
    "generator",
    "generator_training",
    "is_nested",
    "names",
    "read_configuration",
    "tokenizer",
    "tokenizer_names",
    "tokenizer_training",
]
