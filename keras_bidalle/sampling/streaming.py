"""Drawing images row by row, for those who watch.

The loop is that of the sequential decoder, stopped after each row of
positions, so that the codes are the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.compiled import compiled
from keras_bidalle.sampling import requests
from keras_bidalle.sampling.decoders import sequential
from keras_bidalle.sampling.decoders.targets import Codes
from keras_bidalle.sampling.sampler import row_uniforms
from keras_bidalle.sampling.settings import TEXT_TO_IMAGE, checked_settings


class CodeStreaming:
    """Draws the codes of images with one generator, a row at a time."""

    def __init__(self, generator: Any):
        self.generator = generator

        def begin(text, uniforms, settings, prime):
            return Codes(generator, text, uniforms, settings).begin(prime)

        def advance(text, uniforms, settings, progress, stop):
            target = Codes(generator, text, uniforms, settings)
            return sequential.advanced(target, progress, stop)

        self._begin = compiled(begin, [generator], xla=True)
        self._advance = compiled(advance, [generator], xla=True)

    def codes(
        self, text: Any, prime: Any, seed: Any, settings: Mapping[str, Any]
    ) -> Iterator:
        """Codes of more and more rows: see `Generator.stream_codes`."""
        head, layout = self.generator.head, self.generator.layout
        text = requests.checked_text(text, self.generator)
        prime = requests.checked_prime(prime, len(text), self.generator)
        chosen = checked_settings(
            settings, TEXT_TO_IMAGE, len(text), self.generator
        )
        seeds = [(s, 0) for s in requests.checked_seeds(seed, len(text))]
        shape = (layout.num_positions, head.codes_per_position)
        inputs = keras.tree.map_structure(
            ops.convert_to_tensor,
            (
                text,
                row_uniforms(seeds, shape),
                chosen,
                prime,
            ),
        )
        # The checks are done now, the rest as the caller iterates.
        return self._rows(*inputs)

    def _rows(self, text, uniforms, settings, prime):
        generator, given = self.generator, prime.shape[1]
        if not len(text):
            nothing = np.zeros((0, *generator.code_shape), "int32")
            yield nothing, generator.layout.grid[0]
            return
        columns = generator.layout.grid[1]
        rows = range(columns, generator.layout.num_positions + 1, columns)
        target = Codes(generator, text, uniforms, settings)
        blocks = sequential.stops(target, given)
        progress = self._begin(text, uniforms, settings, prime)
        for stop in sorted({*rows, *blocks}):
            if stop <= given:
                continue
            room = next(end for end in blocks if end >= stop)
            progress = sequential.extended(target, progress, room)
            end = ops.convert_to_tensor(stop, "int32")
            progress = self._advance(text, uniforms, settings, progress, end)
            if stop in rows:
                codes = generator.head.from_positions(progress.tokens)
                codes = ops.convert_to_numpy(codes).astype("int32")
                yield codes, stop // columns
