"""LPIPS of reconstructions, as a Keras metric."""

import os
from typing import Any

import keras

from keras_bidalle.losses.perceptual import LPIPS as Distance
from keras_bidalle.metrics.psnr import paired_images


@keras.saving.register_keras_serializable(package="keras_bidalle>metrics")
class LPIPS(keras.metrics.Mean):
    """The mean over images of `keras_bidalle.losses.LPIPS` (VGG16).

    Published figures with AlexNet's features are other figures.

    Args:
        weights: str or path, the `.npz` file of `losses.LPIPS`.
        name: str.
        dtype: the metric's dtype.

    Raises:
        ValueError: without `weights`, or when the file does not hold them.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | None = None,
        name: str = "lpips_vgg",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._distance = Distance(weights, dtype="float32")

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        """Adds images.

        Args:
            y_true: array (B, H, W, 3), float in [-1, 1] or uint8 in [0,
                255], sides of at least 16.
            y_pred: array of the same shape and range.
            sample_weight: optional array (B,).
        """
        real, fake, peak = paired_images(y_true, y_pred)
        if peak == 255.0:
            real, fake = real / 127.5 - 1.0, fake / 127.5 - 1.0
        super().update_state(self._distance(real, fake), sample_weight)

    def get_config(self) -> Any:
        config = super().get_config()
        return {**config, "weights": self._distance.weights_path}
