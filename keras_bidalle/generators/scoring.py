"""How likely a generator finds captions of pictures."""

import functools

import numpy as np
from keras import ops

from keras_bidalle.backend.compiled import compiled, row_batches
from keras_bidalle.generators.training import cross_entropy
from keras_bidalle.sampling.requests import checked_text


class Scoring:
    """`score_text`, mixed into a generator."""

    def score_text(self, text, codes, batch_size=64):
        """The log-likelihood of captions, given the codes of pictures.

        Args:
            text: int array (B, T), rows of caption tokens.
            codes: int array (B, *code_shape).
            batch_size: int, how many are scored at once.

        Returns:
            float32 NumPy array (B,), nats: the sum over the tokens that
            follow the first, without pads.

        Raises:
            ValueError: if `text` has a wrong shape, or the condition is a
                class, which is never predicted.
        """
        text = checked_text(text, self)
        if self.text_length == 1:
            raise ValueError(
                "`score_text` needs a generator of captions. Received: one "
                "with text_length=1, whose condition is a class."
            )
        codes = ops.convert_to_numpy(ops.convert_to_tensor(codes))
        scores = [np.zeros((0,), "float32")]
        for rows, count in row_batches(len(text), batch_size):
            found = self._score(
                ops.convert_to_tensor(text[rows]),
                ops.convert_to_tensor(codes[rows]),
            )
            scores.append(ops.convert_to_numpy(found)[:count])
        return np.concatenate(scores)

    @functools.cached_property
    def _score(self):
        def score(text, codes):
            before, _, _ = self.hidden_states(
                text,
                self.to_positions(codes),
                ops.zeros(ops.shape(text)[:1], "bool"),
                training=False,
            )
            targets = text[:, 1:]
            logits = self.text_logits(before)[:, -targets.shape[1] :]
            counted = ops.logical_not(self.is_padding(targets))
            losses = cross_entropy(logits, targets)
            return -ops.sum(losses * ops.cast(counted, "float32"), axis=-1)

        return compiled(score, [self], xla=True)
