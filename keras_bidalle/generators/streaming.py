"""Drawing pictures row by row, for those who watch.

The loop is that of `Generation.generate_codes`, stopped after each row of
positions, so that the codes are the same.
"""

import functools
from typing import Unpack

import keras
from keras import ops

from keras_bidalle.backend.compiled import compiled
from keras_bidalle.sampling import decoding
from keras_bidalle.sampling.requests import (
    checked_prime,
    checked_seeds,
    checked_text,
)
from keras_bidalle.sampling.sampler import row_uniforms
from keras_bidalle.sampling.settings import (
    TEXT_TO_IMAGE,
    SamplingSettings,
    checked_settings,
    takes_settings,
)


class Streaming:
    """`stream_codes`, mixed into a generator."""

    @takes_settings(TEXT_TO_IMAGE)
    def stream_codes(
        self,
        text,
        seed=0,
        *,
        prime=None,
        **settings: Unpack[SamplingSettings],
    ):
        """Draws the codes of pictures and yields them row by row.

        Args:
            text, seed, prime: as of `generate_codes`. All rows of `text` are
                drawn at once.
            {settings}

        Yields:
            Tuple of an int32 NumPy array (B, *code_shape), 0 where nothing
            is drawn yet, and of how many of its first rows (of patches, where
            a position is one) are. The last is what `generate_codes` gives.

        Raises:
            ValueError: as of `generate_codes`, at once.
        """
        text = checked_text(text, self)
        prime = checked_prime(prime, len(text), self)
        arrays = checked_settings(settings, TEXT_TO_IMAGE, len(text), self)
        seeds = [(s, 0) for s in checked_seeds(seed, len(text))]
        uniforms = row_uniforms(
            seeds, (self.num_positions, self.codes_per_position)
        )
        inputs = keras.tree.map_structure(
            ops.convert_to_tensor, (text, prime, uniforms, arrays)
        )
        return self._stream(*inputs)

    def _stream(self, text, prime, uniforms, settings):
        given, columns = prime.shape[1], self.grid[1]
        begin, advance = self._streamers
        rows = range(columns, self.num_positions + 1, columns)
        blocks = decoding.block_stops(self, given)
        progress = begin(text, prime, settings)
        for stop in sorted({*rows, *blocks}):
            if stop <= given:
                continue
            room = next(end for end in blocks if end >= stop)
            progress = decoding.extend_codes(self, progress, room)
            end = ops.convert_to_tensor(stop, "int32")
            progress = advance(text, uniforms, settings, progress, end)
            if stop in rows:
                codes = self.from_positions(progress.stacks)
                codes = ops.convert_to_numpy(codes).astype("int32")
                yield codes, stop // columns

    @functools.cached_property
    def _streamers(self):
        begin = functools.partial(decoding.begin_codes, self)
        advance = functools.partial(decoding.continue_codes, self)
        return (
            compiled(begin, [self], xla=True),
            compiled(advance, [self], xla=True),
        )
