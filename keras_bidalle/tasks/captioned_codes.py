"""Captions and codes together: what a generator is trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.text_image_model import TextImageModel


class CaptionedCodes:
    """The images of a task as codes, with their captions.

    A subclass draws the captions, in `caption_tokens`.

    Args:
        caption_tokenizer: `keras_bidalle.captions.CaptionTokenizer`.
        codes: integer array (N, *code_shape).
        captions: list of str, a few captions that are shown while training.
        images: array (n, H, W, 3), as many images, uint8 or in [-1, 1].
    """

    def __init__(
        self,
        caption_tokenizer: CaptionTokenizer | None,
        codes: np.ndarray,
        captions: list[str],
        images: Any,
    ) -> None:
        self.caption_tokenizer: Any = caption_tokenizer
        self.codes = codes
        self.captions = captions
        self.images = images

    # Whether captions are learnt from images, too.
    reads = True

    def __len__(self) -> int:
        return len(self.codes)

    def model(self, image_tokenizer: Any, generator: Any) -> Any:
        """The whole model that a generator of these rows belongs to."""
        return TextImageModel(
            image_tokenizer, self.caption_tokenizer, generator
        )

    def choose(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Draws the images of a batch: int array (size,), of their places."""
        return rng.integers(len(self), size=size)

    def caption_tokens(
        self, chosen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draws a caption for each of the images `chosen`, int (B,).

        Returns:
            int32 array (B, text length).
        """
        raise NotImplementedError

    def text_of(
        self, chosen: np.ndarray, forward: int, rng: np.random.Generator
    ) -> np.ndarray:
        """As `caption_tokens`; images are drawn of the first `forward`."""
        return self.caption_tokens(chosen, rng)

    def codes_of(
        self, chosen: np.ndarray, forward: int, rng: np.random.Generator
    ) -> np.ndarray:
        """The codes (B, *code_shape) of the images `chosen`, as `text_of`."""
        return self.codes[chosen]

    def batch(
        self, size: int, seed: Sequence[int], text_to_image_share: float
    ) -> dict[str, np.ndarray]:
        """Draws `size` rows for a generator's `fit`.

        Of them the share `text_to_image_share` begins with the caption.
        """
        rng = np.random.default_rng(seed)
        chosen = self.choose(size, rng)
        forward = round(text_to_image_share * size)
        # In this order: both draw from the same numbers.
        text = self.text_of(chosen, forward, rng)
        codes = self.codes_of(chosen, forward, rng)
        return {
            "text": text,
            "codes": codes.astype("int32"),
            "text_to_image": np.arange(size) < forward,
        }
