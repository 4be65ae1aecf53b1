"""Many positions in a pass, until each is what the ones before it make it.

The random number of a token is fixed beforehand. So a row is the one solution
of equations, each token a function of those before it, and may be found by
guessing a window of tokens, computing all of it from the guess in one pass,
and taking the result for the next guess. What was computed from a right guess
is right: at least one token a pass, and often many. The tokens are those that
are drawn one after the other.
"""

from typing import Any

from keras import ops

from keras_bidalle.backend.current import is_eager
from keras_bidalle.sampling.decoders.sequential import Decoder, loop
from keras_bidalle.sampling.decoders.targets import (
    Progress,
    Target,
    calls_of,
    put,
)
from keras_bidalle.transformer.kv_cache import known_index
from keras_bidalle.transformer.spans import span
from keras_bidalle.validation import check_at_least, check_positive


class FixedPoint(Decoder):
    """Draws a window of tokens in a pass, and keeps what was right.

    The batch moves on together, by what is right in all of its rows. Where
    passes bring too little, single steps are done instead: passes may only
    spend the time that they have saved so far, and a small part beyond.

    Args:
        window: int, positions of a pass.
        cost: float, how many single steps take as long as a pass.
        loss: float, the share of the time of single steps that passes in
            vain may take beside them.

    Reference:
        Song et al., arXiv 2002.03629 (Jacobi iterations); Wiggers and
        Hoogeboom, arXiv 2002.09928 (forecasts of autoregressive models).
    """

    def __init__(self, window: int = 8, cost: float = 2.0, loss: float = 0.1):
        check_positive(window=window)
        check_at_least(1.0, cost=cost)
        check_at_least(0.0, loss=loss)
        self.window = window
        self.cost = cost
        self.loss = loss

    def filled(self, target: Target, progress: Progress, given: int) -> Any:
        tokens = self._passes(target, progress).tokens[:, : target.count]
        start, rest = tokens[:, :1], tokens[:, 1:]
        ended = target.ended(start, 1)
        if ended is None:
            return tokens
        # Guesses may stand after the end.
        rest, _ = target.after_end(rest, ended)
        return ops.concatenate([start, rest], axis=1)

    def _passes(self, target, progress):
        """Draws what `progress` lacks, by passes and by steps."""
        rows = progress.x.shape[0]
        single = Passes(target, rows, 1)
        several = Passes(target, rows, self.window)
        position, x, tokens, caches = progress
        new, _ = single.drawn(x, position, tokens)
        tokens = put(tokens, new, position)

        def unfinished(position, tokens):
            before = position < target.count - 1
            ended = target.ended(tokens, position + 1)
            if ended is None:
                return before
            return before & ops.logical_not(ops.all(ended))

        # In single steps: what passes have saved, and what they may lose, half
        # of it at once and half earned on the way. Of two passes the first
        # begins with a blind guess.
        two = 2 * self.cost - 2
        loan = max(self.loss / 2 * target.count, two)

        def credit(position, saved):
            drawn = _number(position - progress.position, "float32")
            return saved + loan + self.loss / 2 * drawn

        def may_pass(position, tokens, saved):
            enough = credit(position, saved) >= self.cost - 1
            return enough & unfinished(position, tokens)

        def by_window(state, caches):
            position, tokens, saved = state
            after, tokens, caches = several(position, tokens, caches)
            saved = saved + _number(after - position, "float32") - self.cost
            return (after, tokens, saved), caches

        def must_step(position, tokens, saved):
            too_little = credit(position, saved) < two
            return too_little & unfinished(position, tokens)

        def by_step(state, caches):
            position, tokens, saved = state
            position, tokens, caches = single(position, tokens, caches)
            return (position, tokens, saved), caches

        def by_both(state, caches):
            state, caches = loop(may_pass, by_window, state, caches)
            return loop(must_step, by_step, state, caches)

        state = (position, tokens, _number(0.0, "float32"))
        (position, tokens, _), caches = loop(
            lambda position, tokens, saved: unfinished(position, tokens),
            by_both,
            state,
            caches,
        )
        return Progress(position, x, tokens, caches)


class Passes:
    """One pass over so many positions, the first of which has its token.

    Takes the position, tokens that are guesses from the next one on, and
    caches of what stands before; gives the first position after it of which
    the next is not known, the tokens, right up to there, and the caches.
    """

    def __init__(self, target, rows, width):
        self._target = target
        self._width = width
        self._run = calls_of(target.generator, rows and rows * width)

    def __call__(self, position, tokens, caches):
        target, width = self._target, self._width
        if is_eager():
            width = min(width, target.count - 1 - position)
        guess = span(tokens, position, width, axis=1)
        recent = caches[0]
        x = ops.cast(target.embedded(guess, position), recent.dtype)
        before = ops.concatenate([recent, x], axis=1)
        hidden, (_, *filled) = target.generator.transformer.decode(
            x, caches, target.places, target.first + position, self._run
        )
        new, free = self.drawn(hidden, position + 1, tokens)
        right = 0
        if width > 1:
            same = ops.all(guess[:, 1:] == new[:, :-1], axis=-1)
            if free is not None:
                # What is wrong after the end makes nothing wrong.
                same = ops.logical_or(same, free[:, :-1])
            right = ops.cumprod(ops.cast(same, "int32"), axis=1)
            right = known_index(ops.min(ops.sum(right, axis=1)))
        recent = ops.slice(before, (0, right + 1, 0), recent.shape)
        tokens = put(tokens, new, position + 1)
        return position + 1 + right, tokens, (recent, *filled)

    def drawn(self, hidden, index, tokens):
        """Tokens of the stream before positions from `index` on."""
        target, run, count = self._target, self._run, hidden.shape[1]
        hidden = run(target.generator.transformer.norm, hidden)
        hidden = ops.reshape(hidden, (-1, hidden.shape[-1]))
        new = target.draw(hidden, target.drawer(index, count), run)
        new = ops.reshape(new, (-1, count, tokens.shape[2]))
        return target.after_end(new, target.ended(tokens, index))


def _number(value, dtype):
    """A number that a loop changes; where nothing is compiled, as it is."""
    return value if is_eager() else ops.cast(value, dtype)
