"""Embeddings of the places of a grid: learned, or fixed waves."""

import keras
import numpy as np
from keras import ops

from keras_bidalle.transformer.layer import TransformerLayer


class ImagePositions(TransformerLayer):
    """Vectors of width d that say where things stand in a grid."""

    def __init__(self, grid, width, **kwargs):
        super().__init__(**kwargs)
        self.grid = tuple(grid)
        self.width = width

    def vectors(self):
        """Vectors of all places: tensor (rows * columns, d)."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_bidalle")
class LearnedImagePositions(ImagePositions):
    """One learned vector a row plus one a column.

    DALL-E, arXiv 2102.12092, Figure 10.
    """

    def build(self, input_shape=None):
        (rows, columns), d = self.grid, self.width
        self.row_embedding = self.normal("row_embedding", rows, d)
        self.column_embedding = self.normal("column_embedding", columns, d)

    def vectors(self):
        total = self.row_embedding[:, None] + self.column_embedding[None]
        return ops.reshape(total, (-1, self.width))


@keras.saving.register_keras_serializable(package="keras_bidalle")
class LearnedPlaces(ImagePositions):
    """One learned vector a place.

    RQ-Transformer, arXiv 2203.01941, Sec. 3.2.2.
    """

    def build(self, input_shape=None):
        places = int(np.prod(self.grid))
        self.embedding = self.normal("embedding", places, self.width)

    def vectors(self):
        return ops.convert_to_tensor(self.embedding)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class FixedImagePositions(ImagePositions):
    """Sine and cosine waves of the row in one half, of the column in the other.

    Bi-directional DALL-E, arXiv 2112.00384, the released program.
    """

    def __init__(self, grid, width, **kwargs):
        super().__init__(grid, width, **kwargs)
        rows, columns = self.grid
        half = 2 * -(-width // 4)
        frequency = 10000.0 ** (-np.arange(0, half, 2) / half)

        def waves(count):
            angle = np.arange(count)[:, None] * frequency
            return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)

        table = np.concatenate(
            [
                np.repeat(waves(rows), columns, axis=0),
                np.tile(waves(columns), (rows, 1)),
            ],
            axis=-1,
        )
        self._table = table[:, :width].astype("float32")

    def vectors(self):
        return ops.convert_to_tensor(self._table, self.compute_dtype)


IMAGE_POSITIONS = {
    "learned": LearnedImagePositions,
    "learned_places": LearnedPlaces,
    "fixed": FixedImagePositions,
}
