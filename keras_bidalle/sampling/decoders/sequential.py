"""One position after the other: prefill a prompt, then a step a position."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_bidalle.sampling.decoders.decoder import Decoder
from keras_bidalle.sampling.sampler import draw_tokens, stack_drawer
from keras_bidalle.transformer import kv_cache
from keras_bidalle.transformer.layer_calls import layer_calls
from keras_bidalle.transformer.segments import GEN, REF


class Sequential(Decoder):
    """Draws each token after those before it, with caches of their keys."""

    def codes(
        self,
        generator: Any,
        text: Any,
        uniforms: Any,
        prime: Any,
        settings: dict,
    ) -> Any:
        drawing = CodeDrawing(
            generator, text, settings, _samples(uniforms, text)
        )
        progress = drawing.begin(prime)
        for stop in drawing.stops(prime.shape[1]):
            progress = drawing.extended(progress, stop)
            progress = drawing.advance(progress, uniforms, stop)
        return progress.stacks

    def text(
        self,
        generator: Any,
        stacks: Any,
        uniforms: Any,
        legal: Any,
        settings: dict,
    ) -> Any:
        batch = ops.shape(uniforms)[0]
        guided = "guidance_scale" in settings
        captions, transformer = generator.captions, generator.transformer
        embedding, layout = generator.embedding, generator.layout
        x = embedded_image(generator, stacks, REF)
        if guided:
            x = ops.concatenate([x, embedding.absent(1, False, REF)])
        start = ops.full((batch, 1), captions.start_id, "int32")
        first = embedded_text(generator, start[:1], GEN)
        first = ops.broadcast_to(first, (ops.shape(x)[0], *first.shape[1:]))
        # What stands after the end where no token is a pad: the end again.
        pad = captions.end_id if captions.pad_id is None else captions.pad_id
        places = layout.places(False, generator.compute_dtype)
        x, caches = transformer.prefill(
            ops.concatenate([x, first], axis=1), places, layout.length
        )
        x, caches = _of_samples(
            x, caches, _samples(uniforms, stacks), guided, transformer.num_heads
        )
        run = calls_of(generator, x)
        vectors = embedding.places(True, GEN)

        def step(state, caches):
            index, x, text, ended = state
            hidden = run(transformer.norm, x)[:, 0]
            token = draw_tokens(
                captions.logits(hidden) + legal,
                ops.take(uniforms, index, axis=1),
                settings,
            )
            token = ops.where(ended, pad, token)
            ended = ops.logical_or(ended, token == captions.end_id)
            text = _put(text[..., None], token[:, None], index)[..., 0]
            x = captions.embed_drawn(token) + ops.take(vectors, index, axis=0)
            x, caches = transformer.decode(
                _twice(x[:, None], guided),
                caches,
                places,
                layout.num_positions + index,
                run,
            )
            return (index + 1, x, text, ended), caches

        rest = ops.full((batch, layout.text_length - 1), pad, "int32")
        text = ops.concatenate([start, rest], axis=1)
        index = ops.convert_to_tensor(1, "int32")
        state = (index, x, text, ops.zeros((batch,), "bool"))
        for end in kv_cache.block_ends(layout.num_positions + 1, layout.length):
            stop = end - layout.num_positions

            def going(index, x, text, ended, stop=stop):
                # Stops when every caption has ended.
                unfinished = ops.logical_not(ops.all(ended))
                return ops.logical_and(index < stop, unfinished)

            caches = kv_cache.extend_caches(caches, end, places.windows)
            state, caches = _loop(going, step, state, caches)
        return state[2]


class Progress(NamedTuple):
    """Images of which the first positions are drawn.

    `x` is the stream at the position before, (B, 1, d), each row twice under
    guidance; `stacks`, int32 (B, P, c), has zeros where nothing is drawn yet.
    """

    position: Any
    x: Any
    stacks: Any
    caches: tuple


class CodeDrawing:
    """Draws images part by part; `Decoder.codes` has the arguments."""

    def __init__(
        self, generator: Any, text: Any, settings: dict, samples: int = 1
    ):
        self._generator = generator
        self._text = text
        self._settings = settings
        self._samples = samples
        self._guided = "guidance_scale" in settings
        padding = generator.captions.is_padding(text)
        self._places = self._places_of(_repeated(padding, samples))

    def _places_of(self, padding, absent=None):
        """Places of rows of captions and, under guidance, of absent ones."""
        if self._guided:
            # A condition that is absent has no pads.
            none = ops.zeros_like(
                padding if absent is None else padding[:absent]
            )
            padding = ops.concatenate([padding, none])
        return self._generator.layout.places(
            True, self._generator.compute_dtype, padding
        )

    def stops(self, given: int) -> list[int]:
        """Positions up to which blocks of the caches have room, P the last."""
        layout = self._generator.layout
        ends = kv_cache.block_ends(layout.text_length + given, layout.length)
        return [end - layout.text_length for end in ends]

    def begin(self, prime: Any) -> Progress:
        """Runs the prompt; caches have room up to the first of `stops`."""
        generator, given = self._generator, prime.shape[1]
        transformer, layout = generator.transformer, generator.layout
        batch, text, samples = ops.shape(prime)[0], self._text, self._samples
        places, absent = self._places, batch
        if given:
            # What is prefilled differs from sample to sample.
            text = _repeated(text, samples)
        else:
            absent = 1
            padding = generator.captions.is_padding(text)
            places = self._places_of(padding, absent)
        parts = [embedded_text(generator, text, REF)]
        if self._guided:
            null = generator.embedding.absent(absent, True, REF)
            parts = [ops.concatenate([parts[0], null])]
        if given:
            vectors = embedded_image(generator, prime, GEN)
            parts.append(_twice(vectors, self._guided))
        x, caches = transformer.prefill(
            ops.concatenate(parts, axis=1), places, layout.length
        )
        if not given:
            x, caches = _of_samples(
                x, caches, samples, self._guided, transformer.num_heads
            )
        rest = (batch, layout.num_positions - given, prime.shape[2])
        stacks = ops.concatenate([prime, ops.zeros(rest, "int32")], axis=1)
        position = ops.convert_to_tensor(given, "int32")
        return Progress(position, x, stacks, caches)

    def extended(self, progress: Progress, stop: int) -> Progress:
        """With room in the caches up to `stop`, the next of `stops`."""
        length = self._generator.layout.text_length + stop
        caches = kv_cache.extend_caches(
            progress.caches, length, self._places.windows
        )
        return progress._replace(caches=caches)

    def advance(self, progress: Progress, uniforms: Any, stop: Any) -> Progress:
        """Draws the positions before `stop`, for which there must be room."""
        generator, guided = self._generator, self._guided
        head, transformer = generator.head, generator.transformer
        run = calls_of(generator, progress.x)
        vectors = generator.embedding.places(False, GEN)
        first = generator.layout.text_length

        def draw_codes(x, position):
            numbers = ops.take(uniforms, position, axis=1)
            hidden = run(transformer.norm, x)[:, 0]
            return head.draw(hidden, stack_drawer(numbers, self._settings), run)

        def step(state, caches):
            position, x, stacks = state
            codes = draw_codes(x, position)
            stacks = _put(stacks, codes, position)
            x = head.embed(codes[:, None])
            x = _twice(x + ops.take(vectors, position, axis=0), guided)
            x, caches = transformer.decode(
                x, caches, self._places, first + position, run
            )
            return (position + 1, x, stacks), caches

        state, caches = _loop(
            lambda position, *_: position < stop,
            step,
            (progress.position, progress.x, progress.stacks),
            progress.caches,
        )
        position, x, stacks = state
        return Progress(position, x, stacks, caches)


def embedded_text(generator: Any, text: Any, segment: int) -> Any:
    """Embeds the first n tokens of captions: int (B, n) to (B, n, d)."""
    vectors = generator.captions.embed(text)
    return generator.embedding.add(vectors, True, segment)


def embedded_image(generator: Any, stacks: Any, segment: int) -> Any:
    """Embeds the first n stacks of images: int (B, n, c) to (B, n, d)."""
    vectors = generator.head.embed(stacks)
    return generator.embedding.add(vectors, False, segment)


def calls_of(generator: Any, x: Any) -> Any:
    """How layers are called at every step: `LayerCalls` for rows `x`."""
    blocks = [*generator.transformer.blocks, *generator.head.decoded_blocks()]
    return layer_calls(blocks, x.shape[0])


def _repeated(x, samples):
    return x if samples == 1 else ops.repeat(x, samples, axis=0)


def _samples(uniforms, conditions):
    """How many rows are drawn of each condition, one after the other."""
    rows, count = uniforms.shape[0], conditions.shape[0]
    return 1 if rows is None or count is None else rows // count


def _of_samples(x, caches, samples, guided, num_heads):
    """Of conditions, and of an absent one as the last, those of all samples."""
    count = ops.shape(x)[0] - (1 if guided else 0)
    if samples == 1 and not guided:
        return x, caches
    rows = _repeated(ops.arange(count, dtype="int32"), samples)
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


def _twice(x, guided):
    return ops.concatenate([x, x]) if guided else x


def _put(sequence, item, position):
    """Returns `sequence` (B, n, c) with `item` (B, c) at a position."""
    here = ops.arange(sequence.shape[1], dtype="int32") == position
    return ops.where(here[None, :, None], item[:, None], sequence)


def _loop(going: Callable, step: Callable, state: Any, caches: Any) -> tuple:
    """Steps that change a state and the last block of each cache.

    Blocks that are full stay outside of the loop, and are never copied.
    """
    full = [cache[:-1] for cache in caches[1:]]

    def changing(caches):
        recent, *filled = caches
        return recent, tuple(cache[-1] for cache in filled)

    def whole(recent, last):
        blocks = zip(full, last, strict=True)
        return (recent, *((*before, block) for before, block in blocks))

    def body(*variables):
        *state, recent, last = variables
        state, caches = step(state, whole(recent, last))
        return (*state, *changing(caches))

    *state, recent, last = ops.while_loop(
        lambda *variables: going(*variables[:-2]),
        body,
        (*state, *changing(caches)),
    )
    return tuple(state), whole(recent, last)
