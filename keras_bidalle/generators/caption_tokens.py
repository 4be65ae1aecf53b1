"""Captions' side of a generator: tokens in, logits of tokens out."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.transformer.layer import TransformerLayer
from keras_bidalle.transformer.transformer_block import make_norm
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class CaptionTokens(TransformerLayer):
    """Embeds and predicts caption tokens.

    Args:
        text_vocabulary_size: int, V_t, token ids of captions.
        text_length: int, T, the length of a row of caption tokens.
        width: int, channels d.
        pad_id, start_id, end_id: int, the caption tokens that pad a row,
            stand first in it, and end a caption. `pad_id` is `None` where
            every token means something, a class for one.
        pad_tokens: bool, gives each caption position a pad token of its
            own, after the V_t tokens; without them `pad_id` is a token like
            any other, which is never predicted.
        head_bias: bool, whether logits have biases.
        norm: str, "layer" or "rms", the norm before the logits, or `None`
            where the stream is normalized already.

    Attributes:
        text_classes: int, the caption tokens and the pads of the positions.
    """

    def __init__(
        self,
        text_vocabulary_size: int,
        text_length: int,
        width: int,
        pad_id: int | None = 0,
        start_id: int = 1,
        end_id: int = 2,
        pad_tokens: bool = True,
        head_bias: bool = True,
        norm: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive(
            text_vocabulary_size=text_vocabulary_size, text_length=text_length
        )
        self.text_vocabulary_size = text_vocabulary_size
        self.text_length = text_length
        self.width = width
        self.pad_id = pad_id
        self.start_id = start_id
        self.end_id = end_id
        self.pad_tokens = pad_tokens
        self.head_bias = head_bias
        self.norm = norm
        self.text_classes = text_vocabulary_size
        if pad_tokens:
            self.text_classes += text_length
        if norm is not None:
            self.text_norm = make_norm(
                norm, dtype=self.dtype_policy, name="text_norm"
            )

    def build(self, input_shape: Any = None) -> None:
        classes, d = self.text_classes, self.width
        self.embedding = self.normal("text_embedding", classes, d)
        self.head = self.normal("text_head", d, classes)
        self.bias = self.biases("text_head_bias", classes)
        if self.norm is not None:
            self.text_norm.build((None, None, d))

    def is_padding(self, text: Any) -> Any:
        """Which caption tokens are pads: bool tensor like `text`."""
        if self.pad_id is None:
            return ops.zeros_like(text, dtype="bool")
        return ops.cast(text, "int32") == self.pad_id

    def legal(self, forbidden: Iterable[int] = ()) -> np.ndarray:
        """What captions may be written with, as `generate_text` takes it.

        float32 NumPy array (text_classes,), very negative for the forbidden
        tokens and the pads of the positions, 0 for others.
        """
        legal = np.zeros(self.text_classes, "float32")
        legal[self.text_vocabulary_size :] = -1e9
        legal[list(forbidden)] = -1e9
        return legal

    def embed(self, text: Any) -> Any:
        """Vectors of tokens: int (B, n), from the first on, to (B, n, d)."""
        ids = ops.cast(text, "int32")
        if self.pad_tokens:
            places = ops.arange(text.shape[1], dtype="int32")
            pads = self.text_vocabulary_size + places
            ids = ops.where(self.is_padding(ids), pads[None], ids)
        return lookup(self.cast(self.embedding), ids)

    def embed_drawn(self, token: Any) -> Any:
        """Vectors of drawn tokens, none of them a pad: (B,) to (B, d)."""
        return ops.take(self.cast(self.embedding), token, axis=0)

    def logits(self, hidden: Any) -> Any:
        """Logits of tokens and pads: (..., d) to float32 (..., V_t + T)."""
        if self.norm is not None:
            hidden = self.text_norm(hidden)
        return self.classified(hidden, self.head, self.bias)
