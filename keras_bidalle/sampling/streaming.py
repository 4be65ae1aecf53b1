"""Drawing images row by row, for those who watch.

The loop is that of `generation`, stopped after each row of positions, so
that the codes are the same.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

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
from keras_bidalle.sampling.settings import TEXT_TO_IMAGE, checked_settings


class CodeStreaming:
    """Draws the codes of images with one generator, a row at a time.

    Args:
        generator: `Generator`.
    """

    def __init__(self, generator: Any):
        self.generator = generator
        begin = functools.partial(decoding.begin_codes, generator)
        advance = functools.partial(decoding.continue_codes, generator)
        self._begin = compiled(begin, [generator], xla=True)
        self._advance = compiled(advance, [generator], xla=True)

    def codes(
        self, text: Any, prime: Any, seed: Any, settings: Mapping[str, Any]
    ) -> Iterator:
        """Codes of more and more rows: see `Generator.stream_codes`."""
        head, layout = self.generator.head, self.generator.layout
        text = checked_text(text, self.generator)
        count = len(text)
        prime = checked_prime(prime, count, self.generator)
        arrays = checked_settings(
            settings, TEXT_TO_IMAGE, count, self.generator
        )
        seeds = [(s, 0) for s in checked_seeds(seed, count)]
        shape = (layout.num_positions, head.codes_per_position)
        inputs = keras.tree.map_structure(
            ops.convert_to_tensor,
            (text, prime, row_uniforms(seeds, shape), arrays),
        )
        # The checks are done now, the rest as the caller iterates.
        return self._rows(*inputs)

    def _rows(self, text, prime, uniforms, settings):
        generator, given = self.generator, prime.shape[1]
        columns = generator.layout.grid[1]
        rows = range(columns, generator.layout.num_positions + 1, columns)
        blocks = decoding.block_stops(generator, given)
        progress = self._begin(text, prime, settings)
        for stop in sorted({*rows, *blocks}):
            if stop <= given:
                continue
            room = next(end for end in blocks if end >= stop)
            progress = decoding.extend_codes(generator, progress, room)
            end = ops.convert_to_tensor(stop, "int32")
            progress = self._advance(text, uniforms, settings, progress, end)
            if stop in rows:
                codes = generator.head.from_positions(progress.stacks)
                codes = ops.convert_to_numpy(codes).astype("int32")
                yield codes, stop // columns
