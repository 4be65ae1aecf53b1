"""How likely a generator finds captions of images."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.backend.compiled import compiled, row_batches
from keras_bidalle.losses.cross_entropy import cross_entropy
from keras_bidalle.sampling.requests import (
    check_captions,
    checked_stacks,
    checked_text,
)
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
        scores = [np.zeros((0,), "float32")]
        for rows, count in row_batches(len(text), batch_size):
            given = map(ops.convert_to_tensor, (text[rows], stacks[rows]))
            scores.append(ops.convert_to_numpy(self._score(*given))[:count])
        return np.concatenate(scores)

    def _scores(self, text, stacks):
        generator = self.generator
        before, _, _ = generator.objective.hidden_states(
            generator,
            text,
            stacks,
            ops.zeros(ops.shape(text)[:1], "bool"),
            training=False,
        )
        targets = text[:, 1:]
        logits = generator.captions.logits(before)[:, -targets.shape[1] :]
        counted = ops.logical_not(generator.captions.is_padding(targets))
        losses = cross_entropy(logits, targets)
        return -ops.sum(losses * ops.cast(counted, "float32"), axis=-1)
