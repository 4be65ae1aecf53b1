"""Sampling any number of rows: checked settings, seeds, and batches.

What a generator offers beside training. `decoding` has the loops that are
compiled; here is what surrounds them, for both directions.
"""

import concurrent.futures
import functools
from typing import Unpack

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.compiled import calls_at_once, compiled, row_batches
from keras_bidalle.sampling import decoding
from keras_bidalle.sampling.requests import (
    checked_prime,
    checked_seeds,
    checked_text,
)
from keras_bidalle.sampling.sampler import row_uniforms
from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    SamplingSettings,
    checked_settings,
    takes_settings,
)


def _in_threads(draw, total, batch_size):
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


class Generation:
    """`generate_codes` and `generate_text`, mixed into a generator."""

    @takes_settings(TEXT_TO_IMAGE)
    def generate_codes(
        self,
        text,
        seed=0,
        *,
        num_samples=1,
        prime=None,
        batch_size=64,
        progress=None,
        **settings: Unpack[SamplingSettings],
    ):
        """Draws the codes of pictures, given captions or classes.

        A row depends on its own condition, settings and seed, never on the
        rows beside it. Each setting is one value, or B, or an array (B or
        1, codes_per_position) with a value for each code of a position.

        Args:
            text: int array (B, T), rows of caption tokens.
            seed: int, for every row alike, or B ints.
            num_samples: int, pictures a row of `text`.
            prime: int array (B, n, codes_per_position), the first n < P
                positions of each picture, as `to_positions` gives them.
            batch_size: int, how many are drawn at once.
            progress: function of the number of samples done so far, such as
                `keras.utils.Progbar(B * num_samples).update`, or `None`.
            {settings}

        Returns:
            int32 NumPy array (B * num_samples, *code_shape), the samples of
            a row one after the other.

        Raises:
            ValueError: if `text` or `prime` has a wrong shape, or a setting
                is out of its range.
        """
        text = checked_text(text, self)
        prime = checked_prime(prime, len(text), self)
        stacks = self._sample(
            TEXT_TO_IMAGE,
            [text, prime],
            settings,
            seed,
            num_samples,
            batch_size,
            progress,
            (self.num_positions, self.codes_per_position),
        )
        return ops.convert_to_numpy(self.from_positions(stacks))

    @takes_settings(IMAGE_TO_TEXT)
    def generate_text(
        self,
        codes,
        seed=0,
        *,
        num_samples=1,
        legal=None,
        batch_size=64,
        progress=None,
        **settings: Unpack[SamplingSettings],
    ):
        """Draws captions, given the codes of pictures.

        Args:
            codes: int array (B, *code_shape).
            seed, num_samples, batch_size, progress: as of `generate_codes`.
            legal: float array (text_classes,), 0 for tokens that may be
                written and very negative for others; by default all but the
                pads of the positions may be.
            {settings}

        Returns:
            int32 NumPy array (B * num_samples, T).

        Raises:
            ValueError: if a setting is out of its range, or the
                condition is a class, which is never predicted.
        """
        if self.text_length == 1:
            raise ValueError(
                "`generate_text` needs a generator of captions. Received: one "
                "with text_length=1, whose condition is a class."
            )
        if legal is None:
            legal = self.legal_tokens()
        stacks = ops.convert_to_numpy(
            self.to_positions(ops.convert_to_tensor(codes))
        )
        return self._sample(
            IMAGE_TO_TEXT,
            [stacks],
            settings,
            seed,
            num_samples,
            batch_size,
            progress,
            (self.text_length,),
            legal,
        )

    def legal_tokens(self, forbidden=()):
        """What captions may be written with, as `generate_text` takes it.

        Args:
            forbidden: list of int, tokens that may not be.

        Returns:
            float32 NumPy array (text_classes,), very negative for those and
            for the pads of the positions, 0 for others.
        """
        legal = np.zeros(self.text_classes, "float32")
        legal[self.text_vocabulary_size :] = -1e9
        legal[list(forbidden)] = -1e9
        return legal

    def _sample(
        self,
        direction,
        conditions,
        settings,
        seed,
        num_samples,
        batch_size,
        progress,
        per_row,
        *common,
    ):
        """Samples all rows in batches of few shapes; int32 NumPy array."""
        if not isinstance(num_samples, int) or num_samples < 1:
            raise ValueError(
                "`num_samples` must be a positive integer. "
                f"Received: num_samples={num_samples!r}"
            )
        count = len(conditions[0])
        settings = checked_settings(settings, direction, count, self)
        seeds = checked_seeds(seed, count)
        seeds = [(s, j) for s in seeds for j in range(num_samples)]
        conditions = [np.repeat(c, num_samples, axis=0) for c in conditions]
        settings = {
            name: np.repeat(value, num_samples, axis=0)
            for name, value in settings.items()
        }
        function = self._samplers[direction]

        def draw(rows):
            arguments = (
                [c[rows] for c in conditions],
                row_uniforms([seeds[i] for i in rows], per_row),
                {name: value[rows] for name, value in settings.items()},
                list(common),
            )
            return ops.convert_to_numpy(
                function(
                    *keras.tree.map_structure(ops.convert_to_tensor, arguments)
                )
            )

        total, done = count * num_samples, 0
        results = [np.zeros((0, *per_row), "int32")]
        for out, real in _in_threads(draw, total, batch_size):
            results.append(out[:real])
            done += real
            if progress is not None:
                progress(done)
        return np.concatenate(results).astype("int32")

    # Compiled once for each model and kept, outside what Keras tracks as
    # the model's state; once more for each set of settings that are given.
    @functools.cached_property
    def _samplers(self):
        def codes(conditions, uniforms, settings, common):
            text, prime = conditions
            return decoding.generate_codes(
                self, text, uniforms, prime, settings
            )

        def text(conditions, uniforms, settings, common):
            return decoding.generate_text(
                self, conditions[0], uniforms, common[0], settings
            )

        return {
            TEXT_TO_IMAGE: compiled(codes, [self], xla=True),
            IMAGE_TO_TEXT: compiled(text, [self], xla=True),
        }
