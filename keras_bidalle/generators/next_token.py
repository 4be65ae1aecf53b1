"""The objective of autoregressive generators: the next token of each row."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.losses.cross_entropy import cross_entropy
from keras_bidalle.named import Named
from keras_bidalle.validation import check_at_least


@keras.saving.register_keras_serializable(package="keras_bidalle")
class NextToken(Named):
    """Each token is predicted from those before it.

    The target's modality weighs `target_weight` times the condition's; each
    is a mean over its own tokens, and the directions count by their rows.
    Pad tokens, the first caption token and, where the image comes first, its
    first code are not predicted. A caption of one token, a class, has no
    loss, and the image all of the weight.

    Args:
        target_weight: float, how many times the target's loss weighs
            against the condition's; 7 gives the weights 7/8 and 1/8.
        predict_start: bool, has the first token of a caption that follows
            an image predicted like any other, though it is always the same.

    Reference:
        DALL-E, arXiv 2102.12092, section 2.2; Bi-directional DALL-E,
        arXiv 2112.00384.
    """

    def __init__(
        self, target_weight: float = 7.0, predict_start: bool = False
    ) -> None:
        check_at_least(target_weight=target_weight)
        self.target_weight = target_weight
        self.predict_start = predict_start

    def order(
        self, generator: Any, text: Any, training: bool | None = None
    ) -> Any:
        """The order in which the image positions of rows come, if not raster.

        int tensor (B, P), of each row the positions one after the other, or
        `None`. `text`, int (B, T), are the rows' captions.
        """
        return None

    def hidden_states(
        self,
        generator: Any,
        text: Any,
        stacks: Any,
        text_to_image: Any,
        training: bool | None = None,
        order: Any = None,
    ) -> tuple:
        """The stream from which each token is predicted.

        Takes what `Generator.stream` does, stacks in raster order.

        Returns:
            Tuple of tensors (B, T - 1, d), for the caption tokens after the
            first (with `predict_start` (B, T, d), for all), and (B, P, d),
            for all image positions in raster order, and of `kept`, bool
            (B,), `False` for rows whose condition was dropped.
        """
        direction = ops.cast(text_to_image, "bool")
        if order is not None:
            stacks = _reordered(stacks, order)
        x, kept = generator.stream(text, stacks, direction, training, order)
        first = 0 if self.predict_start else 1
        before_text, before_image = generator.layout.before(direction, x, first)
        if order is not None:
            places = ops.cast(ops.argsort(order, axis=1), "int32")
            before_image = _reordered(before_image, places)
        return before_text, before_image, kept

    def loss(
        self, generator: Any, inputs: dict, outputs: dict, training: bool
    ) -> tuple:
        """The loss of a batch, of which the call returned `outputs`.

        Returns:
            Tuple of a float32 scalar and of a dict with what is logged of
            each target, nats a token and its weight: `image` and `text`.
        """
        captions, layout = generator.captions, generator.layout
        text = ops.cast(inputs["text"], "int32")
        forward = ops.cast(inputs["text_to_image"], "float32")[:, None]
        backward = 1.0 - forward
        kept = ops.cast(outputs["kept"], "float32")[:, None]

        targets = text if self.predict_start else text[:, 1:]
        text_loss = cross_entropy(outputs["text_logits"], targets)
        counted = ops.cast(
            ops.logical_not(captions.is_padding(targets)), "float32"
        )
        if self.predict_start:
            starts = ops.arange(layout.text_length) == 0
            counted = counted * (1.0 - forward * ops.cast(starts, "float32"))

        image_loss = generator.head.losses_of(inputs, outputs, training)
        first = ops.arange(layout.num_positions) == 0
        if "order" in outputs:
            places = ops.arange(layout.num_positions, dtype="int32")
            first = places == outputs["order"][:, :1]
        has_past = ops.cast(ops.logical_not(first), "float32")

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
        if layout.text_length == 1 and not self.predict_start:
            target = condition = 1.0
        loss = share * (
            target * terms["image_target"] + condition * terms["text_condition"]
        ) + (1.0 - share) * (
            target * terms["text_target"] + condition * terms["image_condition"]
        )
        return loss, {
            "image": (terms["image_target"], share),
            "text": (terms["text_target"], 1.0 - share),
        }


def _reordered(x: Any, order: Any) -> Any:
    """Rows (B, P, ...) of which `order`, int32 (B, P), says what comes when."""
    count, rest = x.shape[1], x.shape[2:]
    rows = ops.arange(ops.shape(order)[0], dtype="int32")[:, None]
    flat = ops.reshape(x, (-1, *rest))
    return ops.take(flat, order + rows * count, axis=0)


def global_means(terms: dict, rows: Any) -> tuple:
    """Means over what is counted in the global batch.

    Replicas have captions of other lengths and rows of other directions, so
    that the mean of their means would weigh tokens unevenly. Each divides by
    its even part of all counts instead: the mean over the replicas of what
    this gives is the mean over the global batch.

    Terms are, by name, values, float32 tensors, and masks that broadcast to
    them, 1 where a value counts. Gives a dict from names to scalars, 0 where
    nothing counts, and the mean of `rows` over all replicas.
    """
    counts = [ops.sum(mask) for _, mask in terms.values()]
    counts = replicas.all_reduce_mean(ops.stack([*counts, ops.mean(rows)]))
    least = 1.0 / replicas.num_replicas()
    means = {
        name: ops.sum(values * mask) / ops.maximum(counts[i], least)
        for i, (name, (values, mask)) in enumerate(terms.items())
    }
    return means, counts[len(terms)]
