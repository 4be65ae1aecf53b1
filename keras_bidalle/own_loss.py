"""Models that have a loss of their own, and take no other."""

from typing import Any

from keras_bidalle.backend import replicas
from keras_bidalle.validation import check_own_loss


class OwnLoss:
    """Mixed in before `keras.Model`: `own_loss` is what `fit` minimizes."""

    # Whether targets are taken and not heeded, or refused.
    ignores_targets = False

    def own_loss(self, x: Any, y_pred: Any, training: bool) -> Any:
        """The loss of a batch, a scalar, the mean over its rows."""
        raise NotImplementedError

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """This replica's share of the loss of a batch.

        Raises:
            ValueError: on weights, and on targets where none are heeded.
        """
        targets = None if self.ignores_targets else y
        check_own_loss(y=targets, sample_weight=sample_weight)
        return replicas.share_of_loss(self.own_loss(x, y_pred, training))
