"""What decoders draw: the codes of images, or captions.

A target has the prompt, the numbers and the settings of some rows, so that
one loop serves both. What it draws with is `draw`, which takes what the
transformer says before some positions, all of them in one axis.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_bidalle.backend.current import is_eager
from keras_bidalle.sampling.sampler import stack_drawer
from keras_bidalle.transformer.layer_calls import layer_calls
from keras_bidalle.transformer.segments import GEN, REF
from keras_bidalle.transformer.spans import span


class Progress(NamedTuple):
    """Rows of which the first positions are drawn.

    `x` is the stream at the position before, (B, 1, d), each row twice under
    guidance; `tokens`, int32 (B, n, c), n at least the target's `count`, has
    fillings where nothing is drawn yet.
    """

    position: Any
    x: Any
    tokens: Any
    caches: tuple


class Target:
    """Rows that are drawn from left to right.

    Args:
        generator: `Generator`.
        text_to_image: bool, the direction.
        samples: int, how many rows are drawn of each condition.
        uniforms: float32 tensor (B, count, c).
        settings: dict of tensors (B,) or (B, c).
        more: int, places beyond the rows' ends that several positions at once
            may reach; `None` where one is drawn after the other.

    Attributes:
        count: int, the positions that are drawn; `first` is where they
            begin in a row.
        guided: bool, whether the stream has each row twice.
        places: `Places` of those rows.
        draw: function of the stream (N, d), a function of logits and `run`,
            as `ImageHead.draw`, to int32 tokens (N, c).
    """

    draw: Callable
    places: Any

    def __init__(
        self,
        generator: Any,
        text_to_image: bool,
        samples: int,
        uniforms: Any,
        settings: dict,
        more: int | None = None,
    ):
        layout = generator.layout
        self.generator = generator
        self.samples = samples
        self.guided = "guidance_scale" in settings
        self.first = layout.num_positions
        self.count = layout.text_length
        if text_to_image:
            self.first, self.count = self.count, self.first
        self._text_to_image = text_to_image
        self._uniforms = uniforms
        self._settings = settings
        self._more = more
        self._vectors = generator.embedding.places(not text_to_image, GEN)

    def _places_of(self, padding=None):
        layout, dtype = self.generator.layout, self.generator.compute_dtype
        room = None if self._more is None else layout.length + self._more
        return layout.places(self._text_to_image, dtype, padding, room)

    def drawer(self, index: Any, count: int) -> Callable:
        """What draws tokens from logits of `count` positions, as `draw` asks.

        The positions stand from `index` on; rows are those of the batch, each
        with its positions one after the other.
        """
        numbers = span(self._uniforms, index, count, axis=1)
        numbers = ops.reshape(numbers, (-1, numbers.shape[-1]))
        return stack_drawer(
            numbers,
            {k: _repeated(v, count) for k, v in self._settings.items()},
        )

    def embedded(self, tokens: Any, index: Any) -> Any:
        """The stream of tokens (B, n, c) that stand from `index` on."""
        x = self._embed(tokens)
        x = x + span(self._vectors, index, tokens.shape[1])
        return self.twice(x)

    def _embed(self, tokens):
        raise NotImplementedError

    def twice(self, x: Any) -> Any:
        """Rows as the stream has them."""
        return ops.concatenate([x, x]) if self.guided else x

    def ended(self, tokens: Any, index: Any) -> Any:
        """Rows of which nothing counts from `index` on: bool (B,), or `None`.

        `None` says that none are, ever.
        """
        return None

    def after_end(self, tokens: Any, ended: Any) -> tuple:
        """Tokens (B, n, c), of which those after the end are filled.

        Takes what `ended` said of the position of the first; gives them, and
        which are, bool (B, n), or `None`.
        """
        return tokens, None

    def _prefilled(self, x, places):
        """The last output and the caches of a prompt, for all rows."""
        transformer = self.generator.transformer
        length = self.generator.layout.length
        return transformer.prefill(x, places, length)

    def _progress(self, x, caches, given, filling):
        batch = ops.shape(self._uniforms)[0]
        rest = self.count + (self._more or 0) - given.shape[1]
        rest = (batch, rest, given.shape[2])
        rest = ops.full(rest, filling, "int32")
        tokens = ops.concatenate([given, rest], axis=1)
        position = given.shape[1]
        if not is_eager():
            position = ops.convert_to_tensor(position, "int32")
        return Progress(position, x, tokens, caches)


class Codes(Target):
    """Images that continue what is given of them, by captions.

    Args:
        generator, uniforms, settings, more: as in `Target`.
        text: int32 tensor (U, T), of each of which B / U rows are drawn.
    """

    def __init__(self, generator, text, uniforms, settings, more=None):
        samples = _samples(uniforms, text)
        super().__init__(generator, True, samples, uniforms, settings, more)
        self._text = text
        padding = generator.captions.is_padding(text)
        self.places = self._places_with(_repeated(padding, samples))
        self.draw = generator.head.draw

    def _embed(self, tokens):
        return self.generator.head.embed(tokens)

    def _places_with(self, padding, absent=None):
        """Places of rows of captions and, under guidance, of absent ones."""
        if self.guided:
            # A condition that is absent has no pads.
            none = ops.zeros_like(
                padding if absent is None else padding[:absent]
            )
            padding = ops.concatenate([padding, none])
        return self._places_of(padding)

    def begin(self, prime: Any) -> Progress:
        """Runs the prompt and the first positions, int32 (B, n, c)."""
        generator, given = self.generator, prime.shape[1]
        text, places, absent = self._text, self.places, ops.shape(prime)[0]
        if given:
            # What is prefilled differs from sample to sample.
            text = _repeated(text, self.samples)
        else:
            absent = 1
            padding = generator.captions.is_padding(text)
            places = self._places_with(padding, absent)
        parts = [embedded_text(generator, text, REF)]
        if self.guided:
            null = generator.embedding.absent(absent, True, REF)
            parts = [ops.concatenate([parts[0], null])]
        if given:
            parts.append(self.twice(embedded_image(generator, prime, GEN)))
        x, caches = self._prefilled(ops.concatenate(parts, axis=1), places)
        if not given:
            x, caches = _of_samples(self, x, caches)
        return self._progress(x, caches, prime, 0)


class Captions(Target):
    """Captions of images.

    Args:
        generator, uniforms, settings, more: as in `Target`, uniforms (B, T).
        stacks: int32 tensor (U, P, c), of each of which B / U rows are drawn.
        legal: float32 tensor (text_classes,), as of `Decoder.text`.
    """

    def __init__(self, generator, stacks, uniforms, legal, settings, more=None):
        samples = _samples(uniforms, stacks)
        super().__init__(
            generator, False, samples, uniforms[..., None], settings, more
        )
        captions = generator.captions
        self._stacks = stacks
        self._legal = legal
        self._end = captions.end_id
        # What stands after the end where no token is a pad: the end again.
        self._pad = captions.pad_id
        if self._pad is None:
            self._pad = self._end
        self.places = self._places_of()

    def begin(self) -> Progress:
        """Runs the prompt and the start token."""
        generator = self.generator
        batch = ops.shape(self._uniforms)[0]
        x = embedded_image(generator, self._stacks, REF)
        if self.guided:
            x = ops.concatenate([x, generator.embedding.absent(1, False, REF)])
        start = ops.full((batch, 1), generator.captions.start_id, "int32")
        first = embedded_text(generator, start[:1], GEN)
        first = ops.broadcast_to(first, (ops.shape(x)[0], *first.shape[1:]))
        x = ops.concatenate([x, first], axis=1)
        x, caches = self._prefilled(x, self.places)
        x, caches = _of_samples(self, x, caches)
        return self._progress(x, caches, start[..., None], self._pad)

    def draw(self, hidden, draw, run):
        logits = self.generator.captions.logits(hidden) + self._legal
        return draw(logits, 0)[:, None]

    def _embed(self, tokens):
        return self.generator.captions.embed_drawn(tokens[..., 0])

    def ended(self, tokens, index):
        drawn = ops.arange(tokens.shape[1], dtype="int32")
        drawn = ops.logical_and(drawn > 0, drawn < index)
        is_end = tokens[..., 0] == self._end
        return ops.any(ops.logical_and(is_end, drawn), axis=1)

    def after_end(self, tokens, ended):
        if tokens.shape[1] == 1:
            after = ended[:, None]
        else:
            ends = ops.cast(tokens[:, :-1, 0] == self._end, "int32")
            ends = ops.concatenate([ops.cast(ended[:, None], "int32"), ends], 1)
            after = ops.cumsum(ends, axis=1) > 0
        return ops.where(after[..., None], self._pad, tokens), after


def embedded_text(generator: Any, text: Any, segment: int) -> Any:
    """Embeds the first n tokens of captions: int (B, n) to (B, n, d)."""
    vectors = generator.captions.embed(text)
    return generator.embedding.add(vectors, True, segment)


def embedded_image(generator: Any, stacks: Any, segment: int) -> Any:
    """Embeds the first n stacks of images: int (B, n, c) to (B, n, d)."""
    vectors = generator.head.embed(stacks)
    return generator.embedding.add(vectors, False, segment)


def calls_of(generator: Any, rows: int | None) -> Any:
    """How layers are called at every step: `LayerCalls` for so many rows."""
    blocks = [*generator.transformer.blocks, *generator.head.decoded_blocks()]
    return layer_calls(blocks, rows)


def put(tokens: Any, new: Any, index: Any) -> Any:
    """Returns tokens (B, N, c) with new ones (B, n, c) from `index` on."""
    count = new.shape[1]
    if is_eager():
        # The target made them for its loop, which alone has them.
        tokens[:, index : index + count] = new
        return tokens
    if count > 1:
        return ops.slice_update(tokens, [0, index, 0], new)
    here = ops.arange(tokens.shape[1], dtype="int32") == index
    return ops.where(here[None, :, None], new, tokens)


def _repeated(x, samples):
    return x if samples == 1 else ops.repeat(x, samples, axis=0)


def _samples(uniforms, conditions):
    """How many rows are drawn of each condition, one after the other."""
    rows, count = uniforms.shape[0], conditions.shape[0]
    return 1 if rows is None or count is None else rows // count


def _of_samples(target, x, caches):
    """Of conditions, and of an absent one as the last, those of all samples."""
    num_heads, guided = target.generator.transformer.num_heads, target.guided
    count = ops.shape(x)[0] - (1 if guided else 0)
    if target.samples == 1 and not guided:
        return x, caches
    rows = _repeated(ops.arange(count, dtype="int32"), target.samples)
    if guided:
        rows = ops.concatenate([rows, ops.full_like(rows, count)])

    def of_rows(part):
        return ops.take(part, rows, axis=0)

    def of_heads(part):
        shape = part.shape[1:]
        part = ops.reshape(part, (-1, num_heads * shape[0], shape[1]))
        return ops.reshape(of_rows(part), (-1, *shape))

    recent, *filled = caches
    filled = keras.tree.map_structure(of_heads, filled)
    return of_rows(x), (of_rows(recent), *filled)
