"""What the command `keras-bidalle` can do; each module is one command."""

from keras_bidalle.commands.inputs import (
    PictureInputs,
    check_counts,
    drawing_model,
    take_large_images,
    tell_error,
    text_image_model,
)

__all__ = [
    "PictureInputs",
    "check_counts",
    "drawing_model",
    "take_large_images",
    "tell_error",
    "text_image_model",
]
