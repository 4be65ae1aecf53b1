"""The encoder of an image tokenizer as an extractor."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.metrics.extractors.extractor import Extractor


def tokenizer_encoder(
    tokenizer: Any, name: str = "tokenizer_encoder", weights: str = ""
) -> Extractor:
    """Features are the mean over positions of what the quantizer sees.

    They tell two states of one data set apart where no other network is at
    hand; what its tokenizer does not see, they do not see either.

    Args:
        tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer`.
        name: str, which names the figures.
        weights: str, where the tokenizer is from.

    Returns:
        `Extractor` of as many features as its latents have channels.

    Raises:
        ValueError: when its latents are not one grid.
    """

    def pooled(x: Any) -> Any:
        latents = tokenizer.to_latents(x, training=False)
        if not hasattr(latents, "shape") or len(latents.shape) != 4:
            raise ValueError(
                "`tokenizer` must have one grid of latents to be an "
                f"extractor. Received: a {type(tokenizer).__name__}"
            )
        return ops.mean(ops.cast(latents, "float32"), axis=(1, 2))

    height, width, channels = tokenizer.image_shape
    tried = pooled(np.zeros((1, height, width, channels), "float32"))
    return Extractor(
        name,
        pooled,
        tokenizer.stages,
        dimensions=int(tried.shape[-1]),
        size=(height, width),
        resize="clean",
        weights=weights,
    )
