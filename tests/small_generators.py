"""A generator with random weights that draws in a moment."""

import keras

from keras_bidalle.generators import BidirectionalTransformer


def small_generator(cls=BidirectionalTransformer, **options):
    """A generator of 12 words in rows of 6, and of 7 codes on 2 x 2."""
    keras.utils.set_random_seed(0)
    sizes = {"text_vocabulary_size": 12, "text_length": 6, "num_codes": 7}
    sizes |= {"code_shape": (2, 2), "width": 16, "depth": 1, "num_heads": 2}
    generator = cls(**{**sizes, **options})
    for i, weight in enumerate(generator.trainable_variables):
        weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=i))
    return generator


def fitting_generator(cls, images, captions, **options):
    """A `small_generator` for the shapes of two tokenizers."""
    options |= {"num_codes": images.num_codes, "code_shape": images.code_shape}
    return small_generator(
        cls,
        text_vocabulary_size=captions.vocabulary_size,
        text_length=captions.max_length,
        **options,
    )
