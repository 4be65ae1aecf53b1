"""From a model that is there to one of a user's own pictures and words."""

from keras_bidalle.configurations import Configuration, generator_training
from keras_bidalle.sampling.settings import TEXT_TO_IMAGE
from keras_bidalle.text_image_model import TextImageModel

# Of what `carry_over_generator` keeps nearly everything: smaller steps.
_RATE = 1e-3
_STEPS = 600
_WORDS = 2000


def fine_tuned(model: TextImageModel) -> Configuration:
    """The generator of a model, as it is trained on other pictures.

    Its codes stay. Captions and words are those of the new pictures.

    Args:
        model: `TextImageModel`.

    Returns:
        `Configuration` of its generator.
    """
    arguments = dict(model.generator.arguments())
    training = generator_training("small-64")
    training.update(learning_rate=_RATE, steps=_STEPS, warmup_steps=20)
    training["sampling"] = dict(model.sampling_defaults.get(TEXT_TO_IMAGE, {}))
    arguments["text_vocabulary_size"] = max(
        arguments["text_vocabulary_size"], _WORDS
    )
    return Configuration(type(model.generator), arguments, training)
