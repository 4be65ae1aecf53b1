"""Sampling any number of rows: checked requests, seeds, and batches.

`decoding` has the loops that are compiled; here is what surrounds them, for
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
from keras_bidalle.sampling import decoding
from keras_bidalle.sampling.requests import (
    check_captions,
    checked_prime,
    checked_seeds,
    checked_text,
)
from keras_bidalle.sampling.sampler import row_uniforms
from keras_bidalle.sampling.scoring import CaptionScoring
from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    checked_settings,
)
from keras_bidalle.sampling.streaming import CodeStreaming
from keras_bidalle.validation import check_positive


def in_threads(draw: Callable, total: int, batch_size: int) -> Iterator:
    """Calls a function of rows; yields its results and how many are meant.

    Args:
        draw: function of an int array, the indices of rows, to an array.
        total: int, the number of rows.
        batch_size: int, how many are drawn at once, by all threads.
    """
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

    Args:
        generator: `Generator`.
    """

    def __init__(self, generator: Any):
        self.generator = generator
        self._streaming = CodeStreaming(generator)
        self._scoring = CaptionScoring(generator)
        # What decodes each direction: the lines that name the decoders.
        decoders = {
            TEXT_TO_IMAGE: decoding.generate_codes,
            IMAGE_TO_TEXT: decoding.generate_text,
        }
        self._compiled = {
            direction: compiled(
                functools.partial(decode, generator), [generator], xla=True
            )
            for direction, decode in decoders.items()
        }

    def codes(self, text: Any, prime: Any, **request: Any) -> np.ndarray:
        """Codes of images: see `Generator.generate_codes`."""
        head, layout = self.generator.head, self.generator.layout
        text = checked_text(text, self.generator)
        prime = checked_prime(prime, len(text), self.generator)
        shape = (layout.num_positions, head.codes_per_position)
        stacks = self._rows(TEXT_TO_IMAGE, [text, prime], shape, **request)
        return ops.convert_to_numpy(head.from_positions(stacks))

    def text(self, codes: Any, legal: Any, **request: Any) -> np.ndarray:
        """Caption tokens: see `Generator.generate_text`."""
        check_captions(self.generator, "generate_text")
        if legal is None:
            legal = self.generator.captions.legal()
        stacks = self.generator.head.to_positions(ops.convert_to_tensor(codes))
        stacks = ops.convert_to_numpy(stacks)
        shape = (self.generator.text_length,)
        return self._rows(IMAGE_TO_TEXT, [stacks], shape, legal, **request)

    def stream(
        self, text: Any, prime: Any, seed: Any, settings: Mapping[str, Any]
    ) -> Iterator:
        """Codes of more and more rows: see `Generator.stream_codes`."""
        return self._streaming.codes(text, prime, seed, settings)

    def scores(self, text: Any, codes: Any, batch_size: int) -> np.ndarray:
        """Nats of captions: see `Generator.score_text`."""
        return self._scoring.text(text, codes, batch_size)

    def _rows(
        self,
        direction,
        conditions,
        shape,
        *common,
        settings,
        seed,
        num_samples,
        batch_size,
        progress,
    ):
        """Samples all rows in batches of few shapes; int32 NumPy array.

        Args:
            direction: str, which of the two loops.
            conditions: list of arrays (B, ...), what is given of each row.
            shape: tuple, of what is drawn for one row.
            *common: arrays that all rows share.
            settings, seed, num_samples, batch_size, progress: as of
                `Generator.generate_codes`.
        """
        check_positive(num_samples=num_samples)
        count = len(conditions[0])
        settings = checked_settings(settings, direction, count, self.generator)
        seeds = checked_seeds(seed, count)
        seeds = [(s, j) for s in seeds for j in range(num_samples)]
        conditions, settings = keras.tree.map_structure(
            lambda values: np.repeat(values, num_samples, axis=0),
            (conditions, settings),
        )

        def draw(rows):
            given, chosen = keras.tree.map_structure(
                lambda values: values[rows], (conditions, settings)
            )
            uniforms = row_uniforms([seeds[i] for i in rows], shape)
            condition, *more = given
            arguments = keras.tree.map_structure(
                ops.convert_to_tensor,
                (condition, uniforms, *more, *common, chosen),
            )
            return ops.convert_to_numpy(self._compiled[direction](*arguments))

        results, done = [np.zeros((0, *shape), "int32")], 0
        for out, real in in_threads(draw, count * num_samples, batch_size):
            results.append(out[:real])
            done += real
            if progress is not None:
                progress(done)
        return np.concatenate(results).astype("int32")
