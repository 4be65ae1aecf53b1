"""What fills rows, and the plain way: prefill a prompt, a step a position."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_bidalle.backend.current import is_eager
from keras_bidalle.named import Named
from keras_bidalle.sampling.decoders.targets import (
    Captions,
    Codes,
    Progress,
    Target,
    calls_of,
    put,
)
from keras_bidalle.transformer import kv_cache


class Decoder(Named):
    """Fills rows of both directions; what it draws depends on no decoder.

    A decoder gives `filled`, which serves both directions, or `codes` and
    `text`; one of a single direction is a subclass of `Sequential`. All are
    compiled: pure functions of the generator's weights and of their tensor
    arguments. A random number is given for each token, so that all decoders
    draw the same tokens.

    Attributes:
        window: int, positions that `filled` draws at once; `None` where they
            are drawn one after the other.
    """

    window: int | None = None

    def chosen(self, generator: Any, rows: int) -> "Decoder":
        """What fills so many rows at once: this, or another in its place."""
        return self

    def codes(
        self,
        generator: Any,
        text: Any,
        uniforms: Any,
        prime: Any,
        settings: dict,
    ) -> Any:
        """Continues images, given captions.

        Args:
            generator: `Generator`.
            text: int32 tensor (U, T), the captions, of each of which B / U
                rows are drawn, one after the other.
            uniforms: float32 tensor (B, P, c) in [0, 1).
            prime: int32 tensor (B, n, c), the first n < P positions of each
                image; n may be 0.
            settings: dict from names in the table of settings to tensors
                (B,), or (B, c) with a value for each code of a position.

        Returns:
            int32 tensor (B, P, c), `prime` first.
        """
        target = Codes(generator, text, uniforms, settings, self.window)
        return self.filled(target, target.begin(prime), prime.shape[1])

    def text(
        self,
        generator: Any,
        stacks: Any,
        uniforms: Any,
        legal: Any,
        settings: dict,
    ) -> Any:
        """Writes captions, given images.

        Args:
            generator: `Generator`.
            stacks: int32 tensor (U, P, c), as the captions of `codes`.
            uniforms: float32 tensor (B, T) in [0, 1).
            legal: float32 tensor (text_classes,), 0 for tokens that may be
                written and very negative for others.
            settings: as of `codes`, tensors (B,).

        Returns:
            int32 tensor (B, T): the start token, the caption, the end token,
            and pad tokens.
        """
        target = Captions(
            generator, stacks, uniforms, legal, settings, self.window
        )
        return self.filled(target, target.begin(), 1)[..., 0]

    def filled(self, target: Target, progress: Progress, given: int) -> Any:
        """Draws what is not drawn yet.

        Args:
            target: `Codes` or `Captions`.
            progress: what its `begin` gave, of `given` positions.
            given: int.

        Returns:
            int32 tensor (B, target.count, c).
        """
        raise NotImplementedError


class Sequential(Decoder):
    """Draws each token after those before it, with caches of their keys."""

    def filled(self, target: Target, progress: Progress, given: int) -> Any:
        for stop in stops(target, given):
            progress = extended(target, progress, stop)
            progress = advanced(target, progress, stop)
        return progress.tokens


def stops(target: Target, given: int) -> list[int]:
    """Positions up to which blocks of the caches have room, the last the end.

    `given` is how many of the positions stand in the prompt.
    """
    length = target.generator.layout.length
    ends = kv_cache.block_ends(target.first + given, length)
    return [end - target.first for end in ends]


def extended(target: Target, progress: Progress, stop: int) -> Progress:
    """With room in the caches up to `stop`, the next of `stops`."""
    caches = kv_cache.extend_caches(
        progress.caches, target.first + stop, target.places.windows
    )
    return progress._replace(caches=caches)


def advanced(target: Target, progress: Progress, stop: Any) -> Progress:
    """Draws the positions before `stop`, for which there must be room.

    It stops where every row has ended.
    """
    transformer = target.generator.transformer
    run = calls_of(target.generator, progress.x.shape[0])
    stop = kv_cache.known_index(stop)

    def going(position, x, tokens):
        ended = target.ended(tokens, position)
        if ended is None:
            return position < stop
        return (position < stop) & ops.logical_not(ops.all(ended))

    def step(state, caches):
        position, x, tokens = state
        draw = target.drawer(position, 1)
        new = target.draw(run(transformer.norm, x)[:, 0], draw, run)[:, None]
        new, _ = target.after_end(new, target.ended(tokens, position))
        tokens = put(tokens, new, position)
        x, caches = transformer.decode(
            target.embedded(new, position),
            caches,
            target.places,
            target.first + position,
            run,
        )
        return (position + 1, x, tokens), caches

    state = (progress.position, progress.x, progress.tokens)
    state, caches = loop(going, step, state, progress.caches)
    position, x, tokens = state
    return Progress(position, x, tokens, caches)


def loop(going: Callable, step: Callable, state: tuple, caches: Any) -> tuple:
    """Steps that change a state and the last block of each cache.

    Blocks that are full stay outside of the loop, and are never copied. Where
    nothing is compiled, positions stay numbers.
    """
    if is_eager():
        while going(*state):
            state, caches = step(state, caches)
        return state, caches
    full = [cache[:-1] for cache in caches[1:]]

    def changing(caches):
        recent, *filled = caches
        return recent, tuple(cache[-1] for cache in filled)

    def whole(recent, last):
        blocks = zip(full, last, strict=True)
        return (recent, *((*before, block) for before, block in blocks))

    def body(*variables):
        *state, recent, last = variables
        state, caches = step(tuple(state), whole(recent, last))
        return (*state, *changing(caches))

    *state, recent, last = ops.while_loop(
        lambda *variables: going(*variables[:-2]),
        body,
        (*state, *changing(caches)),
    )
    return tuple(state), whole(recent, last)
