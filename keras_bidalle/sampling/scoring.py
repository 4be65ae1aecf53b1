"""How likely a generator finds captions of images."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.backend.compiled import compiled, row_batches
from keras_bidalle.backend.current import is_eager
from keras_bidalle.losses.cross_entropy import cross_entropy
from keras_bidalle.sampling.decoders.targets import (
    embedded_image,
    embedded_text,
)
from keras_bidalle.sampling.requests import (
    check_captions,
    checked_stacks,
    checked_text,
)
from keras_bidalle.transformer.segments import GEN, REF
from keras_bidalle.validation import check_positive


class CaptionScoring:
    """Log-likelihoods of captions, by one generator."""

    def __init__(self, generator: Any):
        self.generator = generator
        self._score = compiled(self._scores, [generator], xla=True)

    def text(self, text: Any, codes: Any, batch_size: int) -> np.ndarray:
        """Nats of each row: see `Generator.score_text`."""
        text = checked_text(text, self.generator)
        check_captions(self.generator, "score_text")
        stacks = checked_stacks(codes, self.generator)
        if len(text) != len(stacks):
            raise ValueError(
                "`text` and `codes` must have as many rows. "
                f"Received: {len(text)} and {len(stacks)}"
            )
        check_positive(batch_size=batch_size)
        each = copies(stacks, batch_size)
        scores = [np.zeros((0,), "float32")]
        for images, count in row_batches(
            len(stacks) // each, batch_size // each
        ):
            rows = (images[:, None] * each + np.arange(each)).ravel()
            part = text[rows]
            if each > 1:
                part = part[:, : self._longest(part)]
            given = map(ops.convert_to_tensor, (part, stacks[images * each]))
            found = ops.convert_to_numpy(self._score(*given))
            scores.append(found[: count * each])
        return np.concatenate(scores)

    def _longest(self, text):
        """The tokens of the longest caption; where compiled, half or all."""
        pads = ops.convert_to_numpy(self.generator.captions.is_padding(text))
        length = text.shape[1]
        longest = int(np.max(np.where(pads, 0, 1 + np.arange(length))))
        longest = max(longest, 2)
        if is_eager():
            return longest
        half = -(-length // 2)
        return half if longest <= half else length

    def _scores(self, text, stacks):
        captions = self.generator.captions
        shared = text.shape[0] != stacks.shape[0]
        hidden = (self._after_images if shared else self._of_rows)(text, stacks)
        targets = text[:, 1:]
        logits = captions.logits(hidden)[:, -targets.shape[1] :]
        counted = ops.logical_not(captions.is_padding(targets))
        losses = cross_entropy(logits, targets)
        return -ops.sum(losses * ops.cast(counted, "float32"), axis=-1)

    def _of_rows(self, text, stacks):
        """What predicts the tokens of captions, each with its image."""
        backward = ops.zeros(ops.shape(text)[:1], "bool")
        before, _, _ = self.generator.objective.hidden_states(
            self.generator, text, stacks, backward, training=False
        )
        return before

    def _after_images(self, text, stacks):
        """The same of several captions an image, which is read once."""
        generator, layout = self.generator, self.generator.layout
        dtype = generator.compute_dtype
        _, caches = generator.transformer.prefill(
            embedded_image(generator, stacks, REF),
            layout.places(False, dtype),
            layout.length,
        )
        padding = generator.captions.is_padding(text)
        return generator.transformer.extend(
            embedded_text(generator, text, GEN),
            caches,
            layout.places(False, dtype, padding),
            layout.num_positions,
        )[:, :-1]


def copies(rows: np.ndarray, most: int) -> int:
    """How often each row stands there, one after the other; 1 if it varies.

    At most so often: of more, a part that goes into all.
    """
    new = np.any(rows[1:] != rows[:-1], axis=tuple(range(1, rows.ndim)))
    starts = np.flatnonzero(np.concatenate([[True], new, [True]]))
    each = int(np.gcd.reduce(np.diff(starts))) if len(rows) else 1
    return max(n for n in range(1, min(each, most) + 1) if each % n == 0)
