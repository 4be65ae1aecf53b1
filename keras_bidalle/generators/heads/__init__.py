"""Image heads: how the codes of one position are embedded and predicted."""

from keras_bidalle.generators.heads.digits import DigitHead, grouped_digits
from keras_bidalle.generators.heads.image_head import ImageHead
from keras_bidalle.generators.heads.patch import PatchHead
from keras_bidalle.generators.heads.residual import ResidualHead
from keras_bidalle.generators.heads.single_code import SingleCodeHead

__all__ = [
    "DigitHead",
    "ImageHead",
    "PatchHead",
    "ResidualHead",
    "SingleCodeHead",
    "grouped_digits",
]
