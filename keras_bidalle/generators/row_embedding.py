"""How a row's tokens become vectors: token, place and segment together."""

import keras
from keras import ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.transformer.segments import GEN, REF


class RowEmbedding:
    """The embeddings of captions, codes and dropped conditions.

    Mixed into a generator, which has the weights.
    """

    def _build_text(self, add):
        """Makes the weights, by a function of a name and a shape."""
        d = self.width
        self.text_embedding = add("text_embedding", self.text_classes, d)
        self.text_position_embedding = add(
            "text_position_embedding", self.text_length, d
        )
        if self.segment_embeddings:
            self.segment_embedding = add("segment_embedding", 2, d)
        if self.condition_dropout:
            # What stands for "no condition": [text, image].
            self.null_embedding = add("null_embedding", 2, d)

    @property
    def text_classes(self):
        """int, caption tokens and, after them, pads of the positions."""
        pads = self.text_length if self.pad_tokens else 0
        return self.text_vocabulary_size + pads

    def is_padding(self, text):
        """Which caption tokens are pads: bool tensor like `text`."""
        if self.pad_id is None:
            return ops.zeros_like(text, dtype="bool")
        return ops.cast(text, "int32") == self.pad_id

    def embed_text(self, text, segment):
        """Embeds caption tokens with their positions and segments.

        Args:
            text: int tensor (B, T), or (B, n) from the first position on.
            segment: int, REF or GEN, or int tensor (B,).

        Returns:
            tensor (B, n, d).
        """
        n = text.shape[1]
        ids = ops.cast(text, "int32")
        if self.pad_tokens:
            pads = self.text_vocabulary_size + ops.arange(n, dtype="int32")
            ids = ops.where(self.is_padding(ids), pads[None], ids)
        x = lookup(self._cast(self.text_embedding), ids)
        x = x + self._cast(self.text_position_embedding)[None, :n]
        return x + self._segment(segment)

    def embed_image(self, stacks, segment):
        """Embeds stacks of codes (B, n, c), the first n of a picture."""
        n = stacks.shape[1]
        x = self.embed_codes(stacks) + self.position_vectors()[None, :n]
        return x + self._segment(segment)

    def embed_null(self, batch, text, segment):
        """Embeds a condition that was dropped: (B, T or P, d).

        Args:
            batch: int or int scalar tensor, B.
            text: bool, whether the condition is a caption.
            segment: as in `embed_text`.
        """
        null = self._cast(self.null_embedding)[0 if text else 1]
        positions = (
            self._cast(self.text_position_embedding)
            if text
            else self.position_vectors()
        )
        x = (positions + null)[None] + self._segment(segment)
        return ops.broadcast_to(x, (batch, *positions.shape))

    def position_vectors(self):
        """Vectors of all image positions: tensor (P, d)."""
        return self._cast(self.position_layer.vectors())

    def _segment(self, segment):
        if not self.segment_embeddings:
            return ops.zeros((1, 1, self.width), self.compute_dtype)
        table = self._cast(self.segment_embedding)
        if isinstance(segment, int):
            return table[segment][None, None]
        return lookup(table, segment)[:, None]

    def _embed_parts(self, text, stacks, direction, training):
        """Embeds both parts of rows, without some conditions in training.

        Returns:
            Tuple of tensors (B, T, d), (B, P, d), and bool (B,), which rows
            kept their condition.
        """
        batch = ops.shape(text)[0]
        text_segment = ops.where(direction, REF, GEN)
        image_segment = ops.where(direction, GEN, REF)
        text_part = self.embed_text(text, text_segment)
        image_part = self.embed_image(stacks, image_segment)
        kept = ops.ones((batch,), "bool")
        if not (self.condition_dropout and training):
            return text_part, image_part, kept

        kept = (
            keras.random.uniform((batch,), seed=self.dropout_seed)
            >= self.condition_dropout
        )
        lost = ops.logical_not(kept)
        text_part = ops.where(
            ops.logical_and(lost, direction)[:, None, None],
            self.embed_null(batch, True, text_segment),
            text_part,
        )
        image_part = ops.where(
            ops.logical_and(lost, ops.logical_not(direction))[:, None, None],
            self.embed_null(batch, False, image_segment),
            image_part,
        )
        return text_part, image_part, kept
