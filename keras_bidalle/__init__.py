"""Bidirectional image-text generation with discrete image tokens in Keras 3."""

import sys

from keras_bidalle.default_backend import choose_for_programs
from keras_bidalle.version import __version__

# Before anything imports Keras.
choose_for_programs()

# While Python looks for a module to run, `sys.argv[0]` is "-m". The check of
# an exported folder runs where TensorFlow is all there is, and shows that the
# folder needs no more; everything else begins with the whole library.
if sys.argv[:1] != ["-m"] or "keras_bidalle.serving.check" not in sys.orig_argv:
    from keras_bidalle import (
        captions,
        configurations,
        converters,
        data,
        generators,
        image_tokenizers,
        losses,
        metrics,
        quantizers,
        training,
    )
    from keras_bidalle.presets import load, preset_names
    from keras_bidalle.text_image_model import TextImageModel

__all__ = [
    "TextImageModel",
    "__version__",
    "captions",
    "configurations",
    "converters",
    "data",
    "generators",
    "image_tokenizers",
    "load",
    "losses",
    "metrics",
    "preset_names",
    "quantizers",
    "training",
]
