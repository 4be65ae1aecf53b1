"""Sampling any number of rows: checked requests, seeds, and batches.

Decoders have the loops that are compiled; here is what surrounds them, for
both directions.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.compiled import calls_at_once, compiled, row_batches
from keras_bidalle.sampling.requests import (
    Request,
    check_captions,
    checked_legal,
    checked_prime,
    checked_stacks,
    checked_text,
)
from keras_bidalle.sampling.sampler import row_uniforms
from keras_bidalle.sampling.scoring import CaptionScoring
from keras_bidalle.sampling.settings import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from keras_bidalle.sampling.streaming import CodeStreaming


def in_threads(
    draw: Callable, total: int, at_once: int, workers: int
) -> Iterator:
    """Calls a function of indices; yields results, and how many are meant."""
    batches = list(row_batches(total, at_once))
    if workers == 1:
        for rows, real in batches:
            yield draw(rows), real
        return
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        calls = [pool.submit(draw, rows) for rows, _ in batches]
        try:
            for call, (_, real) in zip(calls, batches, strict=True):
                yield call.result(), real
        finally:
            # Nothing more is begun after an interruption or an error.
            pool.shutdown(wait=False, cancel_futures=True)


class RowSampling:
    """Draws and scores the codes and captions of one generator.

    What is compiled is kept: each loop once for each shape, and once more
    for each set of settings that are given.
    """

    def __init__(self, generator: Any):
        self.generator = generator
        self.stream = CodeStreaming(generator).codes
        self.scores = CaptionScoring(generator).text
        self._programs: dict[tuple, Callable] = {}

    def codes(
        self, text: Any, prime: Any, seed: Any, options: Mapping[str, Any]
    ) -> np.ndarray:
        """Codes of images: see `Generator.generate_codes`."""
        head, layout = self.generator.head, self.generator.layout
        text = checked_text(text, self.generator)
        prime = checked_prime(prime, len(text), self.generator)
        shape = (layout.num_positions, head.codes_per_position)
        request = Request(
            TEXT_TO_IMAGE, len(text), seed, options, self.generator
        )
        stacks = self._rows("codes", request, shape, text, prime)
        return ops.convert_to_numpy(head.from_positions(stacks))

    def text(
        self, codes: Any, legal: Any, seed: Any, options: Mapping[str, Any]
    ) -> np.ndarray:
        """Caption tokens: see `Generator.generate_text`."""
        check_captions(self.generator, "generate_text")
        legal = checked_legal(legal, self.generator)
        stacks = checked_stacks(codes, self.generator)
        shape = (self.generator.text_length,)
        request = Request(
            IMAGE_TO_TEXT, len(stacks), seed, options, self.generator
        )
        return self._rows("text", request, shape, stacks, common=[legal])

    def _program(self, decoder, method):
        key = (type(decoder), repr(decoder.get_config()), method)
        if key not in self._programs:
            function = functools.partial(
                getattr(decoder, method), self.generator
            )
            self._programs[key] = compiled(function, [self.generator], xla=True)
        return self._programs[key]

    def _rows(self, method, request, shape, conditions, prime=None, common=()):
        """Samples rows by a decoder's method: int32 (rows, *shape).

        They are drawn in batches of few shapes. Conditions have an entry for
        each row that is asked for, and so has the prime; what is in `common`
        all rows share. Several samples of a row stand together in a batch, so
        that it is read once for them.
        """
        total = len(conditions) * request.num_samples
        workers = calls_at_once(min(request.batch_size, total))
        at_once = min(request.batch_size, 1 << max(total - 1, 0).bit_length())
        at_once = -(-at_once // workers)
        together = min(request.num_samples, at_once)
        parts = -(-request.num_samples // together)
        rows_at_once = at_once // together * together
        decoder = request.decoder.chosen(self.generator, rows_at_once)
        program = self._program(decoder, method)

        def draw(units):
            # A unit is so many samples of a row; the last may say one again.
            rows, part = np.divmod(units, parts)
            samples = part[:, None] * together + np.arange(together)
            samples = np.minimum(samples, request.num_samples - 1)
            samples = (rows[:, None] * request.num_samples + samples).ravel()
            uniforms = row_uniforms([request.seeds[i] for i in samples], shape)
            more = list(common)
            if prime is not None:
                more = [np.repeat(prime[rows], together, axis=0)]
            arguments = keras.tree.map_structure(
                ops.convert_to_tensor,
                (
                    conditions[rows],
                    uniforms,
                    *more,
                    {k: v[samples] for k, v in request.settings.items()},
                ),
            )
            drawn = ops.convert_to_numpy(program(*arguments))
            return drawn.reshape(len(units), together, *shape)

        units = len(conditions) * parts
        results = np.zeros((units, together, *shape), "int32")
        done = 0
        for out, real in in_threads(draw, units, at_once // together, workers):
            results[done : done + real] = out[:real]
            done += real
            if request.progress is not None:
                rows, part = divmod(done, parts)
                more = min(part * together, request.num_samples)
                request.progress(rows * request.num_samples + more)
        results = results.reshape(-1, parts * together, *shape)
        results = results[:, : request.num_samples]
        return results.reshape(total, *shape)
