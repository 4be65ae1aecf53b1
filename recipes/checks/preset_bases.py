"""Small presets that `fuzzed_presets.py` damages: one of each kind."""

import functools
import pathlib
import random
import tempfile

WEIGHTS = "model.weights.h5"


def small_tokenizer():
    from keras_bidalle.image_tokenizers import PatchVQGAN
    from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer

    return PatchVQGAN(
        ResidualQuantizer(VectorQuantizer(6, 4), code_depth=2),
        image_shape=(16, 16, 3),
        channels=4,
        hidden_channels=4,
        num_blocks=1,
    )


def _sizes(captions, images):
    return {
        "text_vocabulary_size": captions.vocabulary_size,
        "text_length": captions.max_length,
        "num_codes": 6,
        "code_shape": images.code_shape,
        "width": 8,
        "depth": 1,
        "num_heads": 2,
    }


def small_model():
    from keras_bidalle import TextImageModel
    from keras_bidalle.generators import RQTransformer
    from keras_bidalle.tasks.mnist64 import caption_grammar, grammar_tokenizer

    captions = grammar_tokenizer(caption_grammar("mnist"))
    images = small_tokenizer()
    generator = RQTransformer(
        **_sizes(captions, images),
        head_depth=1,
    )
    model = TextImageModel(images, captions, generator)
    model.sampling_defaults = {"text_to_image": {"temperature": 0.9}}
    return model


def small_vqgan():
    from keras_bidalle.image_tokenizers import VQGAN
    from keras_bidalle.quantizers import EMAVectorQuantizer

    return VQGAN(
        EMAVectorQuantizer(6, 4),
        image_shape=(16, 16, 3),
        channels=32,
        channel_multipliers=(1, 1),
        attention_resolutions=(),
        z_channels=4,
    )


def small_pairs():
    """A model whose captions are byte pairs."""
    from keras_bidalle import TextImageModel
    from keras_bidalle.captions import CaptionTokenizer
    from keras_bidalle.generators import BidirectionalTransformer

    captions = CaptionTokenizer.from_captions(["red 3", "a dog"], 40, 8)
    images = small_vqgan()
    generator = BidirectionalTransformer(
        **_sizes(captions, images),
    )
    return TextImageModel(images, captions, generator)


def small_classes():
    from keras_bidalle.generators import RQTransformer

    return RQTransformer(
        text_vocabulary_size=3,
        text_length=1,
        num_codes=6,
        code_shape=(4, 4, 2),
        width=8,
        depth=1,
        num_heads=2,
        head_depth=1,
    )


BASES = {
    "tokenizer": small_tokenizer,
    "model": small_model,
    "vqgan": small_vqgan,
    "pairs": small_pairs,
    "classes": small_classes,
}


@functools.cache
def base(name):
    """The files of an undamaged preset: dict of bytes."""
    # What Keras takes its seeds from.
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        BASES[name]().save_to_preset(f"{folder}/preset")
        paths = pathlib.Path(folder, "preset").iterdir()
        return {path.name: path.read_bytes() for path in paths}
