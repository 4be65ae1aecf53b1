"""Small models with random weights, one for each kind of generator."""

import keras
from small_generators import fitting_generator

from keras_bidalle import TextImageModel
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.generators import (
    BidirectionalTransformer,
    PatchBidirectionalTransformer,
    RQTransformer,
)
from keras_bidalle.image_tokenizers import PatchVQGAN
from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer
from keras_bidalle.tasks.mnist64 import caption_grammar, grammar_tokenizer

CAPTIONS = ["red 3 on the upper left .", "the number is green 7 ."]


def small_model(kind):
    """A `TextImageModel` of a kind: "plain", "patch" or "stacks"."""
    keras.utils.set_random_seed(1)
    quantizer = VectorQuantizer(12, 8)
    if kind == "stacks":
        quantizer = ResidualQuantizer(quantizer, code_depth=2)
    images = PatchVQGAN(
        quantizer,
        image_shape=(16, 16, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    )
    if kind == "plain":
        captions = CaptionTokenizer.from_captions(
            CAPTIONS * 2, vocabulary_size=60, max_length=20
        )
        cls, options = BidirectionalTransformer, {"attention": ("conv_like",)}
    else:
        captions = grammar_tokenizer(caption_grammar("mnist"))
        cls, options = {
            "patch": (
                PatchBidirectionalTransformer,
                {"patch_head_width": 8, "rotary": True},
            ),
            "stacks": (RQTransformer, {"head_depth": 1}),
        }[kind]
    generator = fitting_generator(
        cls,
        images,
        captions,
        # Guidance is its own signatures; one kind is enough.
        condition_dropout=0.1 if kind == "patch" else 0.0,
        token_kernel_size=3,
        **options,
    )
    return TextImageModel(images, captions, generator)
