"""What is added to a row's tokens: their places and their segments."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.keras_internals import pad
from keras_bidalle.backend.lookup import lookup
from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.transformer.image_positions import IMAGE_POSITIONS
from keras_bidalle.transformer.layer import TransformerLayer
from keras_bidalle.transformer.segments import GEN, REF
from keras_bidalle.validation import check_choice, refused


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RowEmbedding(TransformerLayer):
    """Adds to each token where it stands and what its modality is for.

    Each token has the position that it has in its own modality, and a
    segment embedding that says whether its modality is the condition (REF)
    or the target (GEN).

    Args:
        text_length: int, T.
        grid: tuple (rows, columns) of image positions, P = rows * columns.
        width: int, channels d.
        image_positions: str, "learned" (a vector a row and one a column),
            "learned_places" (a vector a place) or "fixed".
        segment_embeddings: bool; `False` leaves the direction to the order
            of the row alone.
        condition_dropout: float in [0, 1), the share of training rows whose
            condition is replaced by a learned null token, for guidance in
            sampling.
        target_positions: bool, adds to each token also where the image
            position stands that comes after it, so that images may be learned
            in any order (see `RandomOrder`).

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        text_length: int,
        grid: tuple,
        width: int,
        image_positions: str = "learned",
        segment_embeddings: bool = True,
        condition_dropout: float = 0.0,
        target_positions: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= condition_dropout < 1.0:
            raise refused("lie in [0, 1)", condition_dropout=condition_dropout)
        check_choice(IMAGE_POSITIONS, image_positions=image_positions)
        self.text_length = text_length
        self.grid = tuple(grid)
        self.width = width
        self.image_positions = image_positions
        self.segment_embeddings = segment_embeddings
        self.condition_dropout = condition_dropout
        self.target_positions = target_positions
        self.position_layer = IMAGE_POSITIONS[image_positions](
            self.grid, width, dtype=self.dtype_policy, name="image_positions"
        )
        self.dropout_seed = NoiseSeedGenerator()

    def build(self, input_shape: Any = None) -> None:
        d = self.width
        self.text_positions = self.normal(
            "text_position_embedding", self.text_length, d
        )
        if self.segment_embeddings:
            self.segments = self.normal("segment_embedding", 2, d)
        if self.condition_dropout:
            # What stands for "no condition": [text, image].
            self.null = self.normal("null_embedding", 2, d)
        if self.target_positions:
            places = int(np.prod(self.grid))
            self.targets = self.normal("target_embedding", places, d)
        self.position_layer.build(None)

    def positions(self, text: bool, order: Any = None) -> Any:
        """Vectors of all positions of one modality: tensor (T or P, d).

        With an `order`, int tensor (B, P), what stands at image position
        `order[b, i]` is the i-th of the image in row b: (B, T or P, d).
        """
        if text:
            vectors = self.cast(self.text_positions)
        else:
            vectors = self.cast(self.position_layer.vectors())
            if order is not None:
                vectors = lookup(vectors, order)
        if not self.target_positions:
            return vectors
        targets = self.cast(self.targets)
        if order is not None:
            targets = lookup(targets, order)
        rest = [[0, 0]] * (len(targets.shape) - 2)
        if text:
            # A caption's last token comes before the image or ends the row.
            filled = [*rest, [self.text_length - 1, 0], [0, 0]]
            return vectors + pad(targets[..., :1, :], filled)
        filled = [*rest, [0, 1], [0, 0]]
        return vectors + pad(targets[..., 1:, :], filled)

    def places(self, text: bool, segment: int) -> Any:
        """What is added to tokens of one segment: tensor (T or P, d)."""
        return self.positions(text) + self._segment(segment)[0]

    def add(self, x: Any, text: bool, segment: Any, order: Any = None) -> Any:
        """Adds places and segments to a modality's first n vectors (B, n, d).

        `text` is whether they are of captions; `segment` is REF or GEN, or an
        int tensor (B,); `order` as in `positions`.
        """
        x = x + self.positions(text, order)[..., : x.shape[1], :]
        return x + self._segment(segment)

    def absent(
        self, batch: Any, text: bool, segment: Any, order: Any = None
    ) -> Any:
        """Vectors of a condition that was dropped: (B, T or P, d)."""
        null = self.cast(self.null)[0 if text else 1]
        positions = self.positions(text, order)
        x = (positions + null) + self._segment(segment)
        return ops.broadcast_to(x, (batch, *positions.shape[-2:]))

    def _segment(self, segment):
        if not self.segment_embeddings:
            return ops.zeros((1, 1, self.width), self.compute_dtype)
        table = self.cast(self.segments)
        if isinstance(segment, int):
            return table[segment][None, None]
        return lookup(table, segment)[:, None]

    def parts(
        self,
        text: Any,
        image: Any,
        text_to_image: Any,
        training: bool | None = None,
        order: Any = None,
    ) -> tuple:
        """Adds to both parts of rows, and drops some conditions in training.

        Takes and gives vectors (B, T, d) of caption tokens and (B, P, d) of
        codes, these in the `order` of `positions`. `text_to_image`, bool
        (B,), is the direction of each row; a bool (B,) more says which rows
        kept their condition.
        """
        batch = ops.shape(text)[0]
        text_segment = ops.where(text_to_image, REF, GEN)
        image_segment = ops.where(text_to_image, GEN, REF)
        text = self.add(text, True, text_segment, order)
        image = self.add(image, False, image_segment, order)
        if not (self.condition_dropout and training):
            return text, image, ops.ones((batch,), "bool")
        kept = (
            keras.random.uniform((batch,), seed=self.dropout_seed)
            >= self.condition_dropout
        )

        def some_lost(x, is_condition, *absent):
            lost = ops.logical_and(ops.logical_not(kept), is_condition)
            return ops.where(
                lost[:, None, None], self.absent(batch, *absent, order), x
            )

        text = some_lost(text, text_to_image, True, text_segment)
        backward = ops.logical_not(text_to_image)
        image = some_lost(image, backward, False, image_segment)
        return text, image, kept
