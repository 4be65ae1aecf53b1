"""Models of the papers by name, and how many weights they have."""

from keras_bidalle.configurations.building import build, from_json, serialized
from keras_bidalle.configurations.configuration import (
    Configuration,
    parse_setting,
    parse_value,
)
from keras_bidalle.configurations.counting import count_params
from keras_bidalle.configurations.generators import GENERATORS
from keras_bidalle.configurations.named import (
    generator,
    generator_names,
    tokenizer,
    tokenizer_names,
)
from keras_bidalle.configurations.shrinking import shrunk, tiny
from keras_bidalle.configurations.tokenizers import TOKENIZERS
from keras_bidalle.configurations.training_settings import (
    generator_training,
    tokenizer_training,
)

__all__ = [
    "Configuration",
    "GENERATORS",
    "TOKENIZERS",
    "build",
    "count_params",
    "from_json",
    "generator",
    "generator_names",
    "generator_training",
    "parse_setting",
    "parse_value",
    "serialized",
    "shrunk",
    "tiny",
    "tokenizer",
    "tokenizer_names",
    "tokenizer_training",
]
