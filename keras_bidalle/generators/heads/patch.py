"""A patch of neighboring codes at each position."""

from typing import Any

import keras
from keras import layers, ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.generators.heads.image_head import ImageHead
from keras_bidalle.messages import shown
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class PatchHead(ImageHead):
    """Predicts the codes of a patch one after the other.

    A two-layer network sees the stream and the codes of the patch before.

    Args:
        num_codes, width: as in `ImageHead`.
        code_shape: tuple (rows, columns) of one image's codes.
        patch_size: int, p; both sides of `code_shape` are multiples of it.
        patch_head_width: int, hidden channels h of the network.
        head_bias: bool, whether logits have biases.

    Raises:
        ValueError: if `patch_size` does not divide `code_shape`.
    """

    def __init__(
        self,
        num_codes: int,
        code_shape: tuple,
        width: int,
        patch_size: int = 2,
        patch_head_width: int = 192,
        head_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_shape, width, **kwargs)
        if (
            not isinstance(patch_size, int)
            or patch_size < 1
            or any(side % patch_size for side in self.code_shape)
        ):
            raise ValueError(
                "`patch_size` must be a positive integer that divides both "
                "sides of `code_shape`. "
                f"Received: patch_size={shown(patch_size)}, "
                f"code_shape={self.code_shape}"
            )
        check_positive(patch_head_width=patch_head_width)
        self.patch_size = patch_size
        self.patch_head_width = patch_head_width
        self.head_bias = head_bias
        self.patch_head_norm = layers.RMSNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="patch_head_norm"
        )

    @property
    def grid(self) -> Any:
        return tuple(side // self.patch_size for side in self.code_shape)

    @property
    def codes_per_position(self) -> Any:
        return self.patch_size**2

    def build(self, input_shape: Any = None) -> Any:
        c, k, d = self.codes_per_position, self.num_codes, self.width
        h = self.patch_head_width

        # One table for each place in the patch, one after the other.
        self.embedding = self.normal("image_embedding", c * k, d)
        self.patch_head_in = self.normal("patch_head_in", d, c * h)
        self.place_embedding = self.normal("patch_place_embedding", c, h)
        # Row i of a place's table: what its code i tells each later place.
        self.context_embedding = self.normal(
            "patch_context_embedding", (c - 1) * k, c * h
        )
        self.mixing = self.normal("patch_head_mixing", c, h, h, stddev=h**-0.5)
        self.patch_head_norm.build((None, c, h))
        self.kernel = self.normal("image_head", h, k)
        self.bias = self.biases("image_head_bias", c, k)

    def to_positions(self, codes: Any) -> Any:
        rows, columns = self.grid
        p = self.patch_size
        codes = ops.reshape(ops.cast(codes, "int32"), (-1, rows, p, columns, p))
        codes = ops.transpose(codes, (0, 1, 3, 2, 4))
        return ops.reshape(codes, (-1, rows * columns, p * p))

    def from_positions(self, stacks: Any) -> Any:
        rows, columns = self.grid
        p = self.patch_size
        stacks = ops.reshape(stacks, (-1, rows, columns, p, p))
        stacks = ops.transpose(stacks, (0, 1, 3, 2, 4))
        return ops.reshape(stacks, (-1, *self.code_shape))

    def embed(self, stacks: Any) -> Any:
        places = ops.arange(self.codes_per_position, dtype="int32")
        codes = stacks + places * self.num_codes
        vectors = lookup(self.cast(self.embedding), codes)
        return ops.sum(vectors, axis=-2)  # (B, n, c, d) -> (B, n, d)

    def _of_places(self, x):
        """Channels of all places as places: (..., c h) to (..., c, h)."""
        places = (self.codes_per_position, self.patch_head_width)
        return ops.reshape(x, (-1, *x.shape[1:-1], *places))

    def _start(self, hidden):
        """What the stream alone tells each place: (..., c, h)."""
        start = ops.matmul(hidden, self.cast(self.patch_head_in))
        return self._of_places(start) + self.cast(self.place_embedding)

    def _context(self, place, codes):
        """What codes (...,) at a place tell each later one: (..., c, h)."""
        table = self.cast(self.context_embedding)
        return self._of_places(lookup(table, codes + place * self.num_codes))

    def _logits_at(self, known, place):
        """Logits of one place from what it knows: (..., h) to (..., K)."""
        x = ops.square(ops.relu(known))
        x = known + ops.matmul(x, self.cast(self.mixing)[place])
        x = self.patch_head_norm(x)
        bias = None if self.bias is None else self.bias[place]
        return self.classified(x, self.kernel, bias)

    def logits(self, hidden: Any, stacks: Any, training: Any = None) -> Any:
        known = self._start(hidden)
        logits = []
        for place in range(self.codes_per_position):
            logits.append(self._logits_at(known[..., place, :], place))
            if place + 1 < self.codes_per_position:
                known = known + self._context(place, stacks[..., place])
        return ops.stack(logits, axis=-2)

    def draw(self, hidden: Any, draw: Any, run: Any = PLAIN_CALLS) -> Any:
        known = self._start(hidden)
        codes = []
        for place in range(self.codes_per_position):
            codes.append(draw(self._logits_at(known[:, place], place), place))
            if place + 1 < self.codes_per_position:
                # Under guidance `hidden` holds each row twice.
                repeats = ops.shape(known)[0] // ops.shape(codes[-1])[0]
                code = ops.tile(codes[-1], (repeats,))
                known = known + self._context(place, code)
        return ops.stack(codes, axis=-1)
