"""One code at each position."""

from typing import Any

import keras

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.generators.heads.image_head import ImageHead
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS


@keras.saving.register_keras_serializable(package="keras_bidalle")
class SingleCodeHead(ImageHead):
    """A table of vectors in, a linear layer out.

    Args:
        num_codes, width: as in `ImageHead`.
        code_shape: tuple (rows, columns) of one image's codes, or (N,) for
            codes without a grid, of several levels say: one long row.
        head_bias: bool, whether logits have biases.
    """

    def __init__(
        self,
        num_codes: int,
        code_shape: tuple,
        width: int,
        head_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_shape, width, **kwargs)
        self.head_bias = head_bias

    @property
    def codes_per_position(self) -> Any:
        return 1

    def build(self, input_shape: Any = None) -> Any:
        k, d = self.num_codes, self.width
        self.embedding = self.normal("image_embedding", k, d)
        self.kernel = self.normal("image_head", d, k)
        self.bias = self.biases("image_head_bias", k)

    def embed(self, stacks: Any) -> Any:
        return lookup(self.cast(self.embedding), stacks[..., 0])

    def logits(self, hidden: Any, stacks: Any, training: Any = None) -> Any:
        return self.classified(hidden, self.kernel, self.bias)[..., None, :]

    def draw(self, hidden: Any, draw: Any, run: Any = PLAIN_CALLS) -> Any:
        logits = self.logits(hidden[:, None], None)[:, 0, 0]
        return draw(logits, 0)[:, None]
