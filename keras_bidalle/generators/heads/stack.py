"""Codes of one position, predicted one after the other by a small network."""

from typing import Any

from keras import ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.generators.heads.image_head import ImageHead
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS


class StackHead(ImageHead):
    """Base of heads whose codes of a position see those before them.

    A two-layer network sees the stream and the codes of the stack so far. A
    subclass says how codes are laid out, and has:

    Attributes:
        head_width: int, hidden channels h of the network.
        num_kinds: int, k, of how many kinds a code of a stack is at most.
        kind: str, what begins the names of weights.
        shares_kernel: bool, whether all places of a stack are classified by
            one kernel.
    """

    head_width: int
    kind: str
    shares_kernel: bool

    @property
    def num_kinds(self) -> int:
        raise NotImplementedError

    def head_norm(self) -> Any:
        """The layer that is the norm before the logits."""
        # No property: Keras would save the layer under its name.
        raise NotImplementedError

    def build(self, input_shape: Any = None) -> Any:
        c, k, d = self.codes_per_position, self.num_kinds, self.width
        h, kind = self.head_width, self.kind

        # One table for each place of the stack, one after the other.
        self.embedding = self.normal("image_embedding", c * k, d)
        self.head_in = self.normal(f"{kind}_head_in", d, c * h)
        self.place_embedding = self.normal(f"{kind}_place_embedding", c, h)
        # Row i of a place's table: what its code i tells each later place.
        self.context_embedding = self.normal(
            f"{kind}_context_embedding", (c - 1) * k, c * h
        )
        self.mixing = self.normal(
            f"{kind}_head_mixing", c, h, h, stddev=h**-0.5
        )
        self.head_norm().build((None, c, h))
        places = () if self.shares_kernel else (c,)
        self.kernel = self.normal("image_head", *places, h, k)
        self.bias = self.biases("image_head_bias", c, k)

    def embed(self, stacks: Any) -> Any:
        places = ops.arange(self.codes_per_position, dtype="int32")
        codes = stacks + places * self.num_kinds
        vectors = lookup(self.cast(self.embedding), codes)
        return ops.sum(vectors, axis=-2)  # (B, n, c, d) -> (B, n, d)

    def _of_places(self, x):
        """Channels of all places as places: (..., c h) to (..., c, h)."""
        places = (self.codes_per_position, self.head_width)
        return ops.reshape(x, (-1, *x.shape[1:-1], *places))

    def _start(self, hidden):
        """What the stream alone tells each place: (..., c, h)."""
        start = ops.matmul(hidden, self.cast(self.head_in))
        return self._of_places(start) + self.cast(self.place_embedding)

    def _context(self, place, codes):
        """What codes (...,) at a place tell each later one: (..., c, h)."""
        table = self.cast(self.context_embedding)
        return self._of_places(lookup(table, codes + place * self.num_kinds))

    def logits_at(self, known: Any, place: int) -> Any:
        """Logits of one place from what it knows: (..., h) to (..., k)."""
        x = ops.square(ops.relu(known))
        x = known + ops.matmul(x, self.cast(self.mixing)[place])
        x = self.head_norm()(x)
        bias = None if self.bias is None else self.bias[place]
        kernel = self.kernel if self.shares_kernel else self.kernel[place]
        return self.classified(x, kernel, bias)

    def logits(self, hidden: Any, stacks: Any, training: Any = None) -> Any:
        known = self._start(hidden)
        logits = []
        for place in range(self.codes_per_position):
            logits.append(self.logits_at(known[..., place, :], place))
            if place + 1 < self.codes_per_position:
                known = known + self._context(place, stacks[..., place])
        return ops.stack(logits, axis=-2)

    def draw(self, hidden: Any, draw: Any, run: Any = PLAIN_CALLS) -> Any:
        known = self._start(hidden)
        codes = []
        for place in range(self.codes_per_position):
            codes.append(draw(self.logits_at(known[:, place], place), place))
            if place + 1 < self.codes_per_position:
                # Under guidance `hidden` holds each row twice.
                repeats = ops.shape(known)[0] // ops.shape(codes[-1])[0]
                code = ops.tile(codes[-1], (repeats,))
                known = known + self._context(place, code)
        return ops.stack(codes, axis=-1)
