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


def in_threads(draw: Callable, total: int, batch_size: int) -> Iterator:
    """Calls a function of rows' indices; yields results and real rows."""
    workers = calls_at_once(min(batch_size, total))
    batches = list(row_batches(total, batch_size, workers))
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
        program = self._program(request.decoder, "codes")
        stacks = self._rows(program, request, shape, [text, prime])
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
        program = self._program(request.decoder, "text")
        return self._rows(program, request, shape, [stacks], legal)

    def _program(self, decoder, method):
        key = (type(decoder), repr(decoder.get_config()), method)
        if key not in self._programs:
            function = functools.partial(
                getattr(decoder, method), self.generator
            )
            self._programs[key] = compiled(function, [self.generator], xla=True)
        return self._programs[key]

    def _rows(self, program, request, shape, conditions, *common):
        """Samples all rows in batches of few shapes: int32 (rows, *shape).

        Conditions have an entry for each row that is asked for; what is in
        `common` all rows share.
        """
        entries = (request.each_sample(conditions), request.settings)

        def draw(rows):
            (condition, *more), settings = keras.tree.map_structure(
                lambda values: values[rows], entries
            )
            seeds = [request.seeds[i] for i in rows]
            arguments = keras.tree.map_structure(
                ops.convert_to_tensor,
                (
                    condition,
                    row_uniforms(seeds, shape),
                    *more,
                    *common,
                    settings,
                ),
            )
            return ops.convert_to_numpy(program(*arguments))

        results, done = [np.zeros((0, *shape), "int32")], 0
        for out, real in in_threads(
            draw, len(request.seeds), request.batch_size
        ):
            results.append(out[:real])
            done += real
            if request.progress is not None:
                request.progress(done)
        return np.concatenate(results).astype("int32")
