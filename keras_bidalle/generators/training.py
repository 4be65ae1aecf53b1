"""How generators learn: the loss of both directions, in one `fit`."""

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.backend.optimizers import compile_arguments, synchronized


class GeneratorTraining:
    """`compute_loss` and its metrics, mixed into a generator.

    Logged: `loss`; `image_loss` and `text_loss`, nats a token of the target
    (codes of text-to-image rows, caption tokens of image-to-text rows).
    """

    def compile(self, *args, **kwargs):
        """As of `keras.Model`; replicas then train as one."""
        super().compile(*args, **compile_arguments(kwargs))
        synchronized(self.optimizer)

    def _create_trackers(self):
        self.image_tracker = keras.metrics.Mean(name="image_loss")
        self.text_tracker = keras.metrics.Mean(name="text_loss")

    def compute_loss(
        self,
        x=None,
        y=None,
        y_pred=None,
        sample_weight=None,
        training=True,
    ):
        """The loss of a batch.

        The target's modality weighs `target_weight` times the condition's;
        each is a mean over its own tokens, and the directions count by
        their rows. Pad tokens, the first caption token and, where the
        picture comes first, its first code are not predicted (but the first
        caption token after a picture is with `predict_start`). A caption of
        one token, a class, otherwise has no loss, and the picture all of
        the weight.

        Reference:
            DALL-E, arXiv 2102.12092, section 2.2; Bi-directional DALL-E.
        """
        text = ops.cast(x["text"], "int32")
        forward = ops.cast(x["text_to_image"], "float32")[:, None]
        backward = 1.0 - forward
        kept = ops.cast(y_pred["kept"], "float32")[:, None]

        targets = text if self.predict_start else text[:, 1:]
        text_loss = cross_entropy(y_pred["text_logits"], targets)
        counted = ops.cast(ops.logical_not(self.is_padding(targets)), "float32")
        if self.predict_start:
            starts = ops.arange(self.text_length) == 0
            counted = counted * (1.0 - forward * ops.cast(starts, "float32"))

        image_loss = self.image_losses(x, y_pred, training)
        first = ops.arange(self.num_positions) == 0
        has_past = ops.cast(ops.logical_not(first), "float32")[None]

        # A dropped condition is not there to be predicted.
        terms, share = global_means(
            {
                "image_target": (
                    image_loss,
                    forward * ops.ones_like(image_loss),
                ),
                "text_condition": (text_loss, counted * forward * kept),
                "text_target": (text_loss, counted * backward),
                "image_condition": (image_loss, backward * kept * has_past),
            },
            forward,
        )
        target = self.target_weight / (self.target_weight + 1.0)
        condition = 1.0 - target
        if self.text_length == 1 and not self.predict_start:
            target = condition = 1.0
        loss = share * (
            target * terms["image_target"] + condition * terms["text_condition"]
        ) + (1.0 - share) * (
            target * terms["text_target"] + condition * terms["image_condition"]
        )
        self.image_tracker.update_state(
            terms["image_target"], sample_weight=share
        )
        self.text_tracker.update_state(
            terms["text_target"], sample_weight=1.0 - share
        )
        for extra in self.losses:
            loss = loss + extra
        return replicas.share_of_loss(loss)

    def image_losses(self, x, y_pred, training=True):
        """The loss of each image position, a mean over its codes.

        Args:
            x: dict, the batch.
            y_pred: dict, what the call on it returned.
            training: bool.

        Returns:
            float32 tensor (B, P).
        """
        stacks = self.to_positions(x["codes"])
        return ops.mean(cross_entropy(y_pred["image_logits"], stacks), axis=-1)


def cross_entropy(logits, targets):
    """Cross-entropy in nats: float32 logits (..., V), int (...) to (...)."""
    picked = ops.take_along_axis(
        logits, ops.cast(targets, "int32")[..., None], axis=-1
    )[..., 0]
    return ops.logsumexp(logits, axis=-1) - picked


def global_means(terms, rows):
    """Means over what is counted in the global batch.

    Replicas have captions of other lengths and rows of other directions, so
    that the mean of their means would weigh tokens unevenly. Each divides by
    its even part of all counts instead: the mean over the replicas of what
    this gives is the mean over the global batch.

    Args:
        terms: dict from names to values, float32 tensors, and masks that
            broadcast to them, 1 where a value counts.
        rows: float32 tensor, whose mean is wanted too.

    Returns:
        Tuple of a dict from names to scalars, 0 where nothing counts, and of
        the mean of `rows` over all replicas.
    """
    counts = [ops.sum(mask) for _, mask in terms.values()]
    counts = replicas.all_reduce_mean(ops.stack([*counts, ops.mean(rows)]))
    least = 1.0 / replicas.num_replicas()
    means = {
        name: ops.sum(values * mask) / ops.maximum(counts[i], least)
        for i, (name, (values, mask)) in enumerate(terms.items())
    }
    return means, counts[len(terms)]
