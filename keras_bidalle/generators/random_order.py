"""Images learned in any order, and at last in the one they are drawn in."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.arguments import Configured
from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.generators.generator import Generator
from keras_bidalle.generators.next_token import NextToken
from keras_bidalle.generators.row_embedding import RowEmbedding


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RandomOrder(Configured, keras.layers.Layer):
    """An objective whose image positions come in a random order at first.

    In training each row has, with a probability, an order of its own, all
    alike likely, in which its image positions stand and are predicted; other
    rows are in raster order. The probability is 1 for `annealing[0]` training
    batches, then falls on a line, and is 0 from batch `annealing[1]` on. Each
    token is so predicted from tokens on all sides of it. Evaluation and
    sampling are in raster order, and cost what they cost without.

    The generator's `RowEmbedding` has `target_positions`, which tell each
    token which position comes next; `generators.folded` makes them part of
    the positions after training. Its attention is full. A token convolution
    reaches back along the row, so over neighbors in the row's order.

    Args:
        annealing: tuple of two ints, `0 <= annealing[0] <= annealing[1]`.
            Published: half and three quarters of all batches.
        objective: `NextToken`, what is predicted from what; `NextToken()` if
            `None`.
        seed: int or `None`, for the orders.

    Attributes:
        batches: int32 variable, how many batches it was trained on, which is
            saved with the generator.

    Raises:
        ValueError: if `annealing` is something else or, in training, the
            generator has no target positions, or attention that is not full.

    Example:

    ```python
    steps = 5000
    generator = BidirectionalTransformer(
        **sizes, order="permuted", order_annealing=(steps // 2, steps * 3 // 4)
    )
    generator.objective  # RandomOrder
    ```

    Reference:
        [Randomized Autoregressive Visual Generation](
        https://arxiv.org/abs/2411.00776), section 3.2.
    """

    def __init__(
        self,
        annealing: tuple[int, int],
        objective: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.annealing = _checked(annealing)
        self.objective = NextToken() if objective is None else objective
        self.seed = seed
        self.seed_generator = NoiseSeedGenerator(seed)
        self.batches = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            autocast=False,
            # All replicas count the same batches.
            aggregation="only_first_replica",
            name="batches",
        )
        self.built = True

    def probability(self, batch: Any) -> Any:
        """How many of a batch's rows are in a random order: float32, a share.

        `batch` is the number of batches before it, an int or a scalar tensor.
        """
        start, end = self.annealing
        left = ops.cast(end - batch, "float32") / max(end - start, 1)
        return ops.clip(left, 0.0, 1.0)

    def order(
        self, generator: Any, text: Any, training: bool | None = None
    ) -> Any:
        """As `NextToken.order`; a training batch is counted."""
        if not training:
            return self.objective.order(generator, text, training)
        _check(generator)
        rows, count = ops.shape(text)[0], generator.layout.num_positions
        numbers = keras.random.uniform(
            (rows, count + 1), dtype="float32", seed=self.seed_generator
        )
        before = ops.convert_to_tensor(self.batches)
        drawn = numbers[:, :1] < self.probability(before)
        self.batches.assign(before + 1)
        return ops.where(
            drawn,
            ops.cast(ops.argsort(numbers[:, 1:], axis=1), "int32"),
            ops.arange(count, dtype="int32")[None],
        )

    def hidden_states(self, *args: Any, **kwargs: Any) -> tuple:
        """As `NextToken.hidden_states`."""
        return self.objective.hidden_states(*args, **kwargs)

    def loss(self, *args: Any, **kwargs: Any) -> tuple:
        """As `NextToken.loss`."""
        return self.objective.loss(*args, **kwargs)


def _checked(annealing):
    wrong = not isinstance(annealing, list | tuple) or len(annealing) != 2
    wrong = wrong or any(type(batch) is not int for batch in annealing)
    if wrong or not 0 <= annealing[0] <= annealing[1]:
        raise ValueError(
            "`annealing` must be two ints, of which the first is at least 0 "
            f"and the second no less. Received: annealing={annealing!r}"
        )
    return tuple(annealing)


def _check(generator):
    if not generator.embedding.target_positions:
        raise ValueError(
            "`RandomOrder` needs a generator whose `RowEmbedding` has "
            "`target_positions=True`: else no token would know which comes "
            "next. Received: target_positions=False"
        )
    others = [kind for kind in generator.layout.kinds if kind != "full"]
    if others:
        raise ValueError(
            '`RandomOrder` needs attention that is all "full": other kinds '
            "are of neighbors in raster order. Received: attention="
            f"{generator.layout.attention}"
        )


def folded(generator: Any) -> Any:
    """A trained generator without what only learning in random orders needs.

    What told each token which position comes next is added to its position,
    once and for all, and the objective is that of raster order. It draws the
    same.

    Args:
        generator: `Generator` whose objective is a `RandomOrder`.

    Returns:
        `Generator` that shares all parts with it but the row embedding.

    Raises:
        ValueError: if the objective is another.

    Reference:
        arXiv 2411.00776, section 3.2.
    """
    if not isinstance(generator.objective, RandomOrder):
        raise ValueError(
            "`generator` must have a `RandomOrder` as its objective. "
            f"Received: {type(generator.objective).__name__}"
        )
    old = generator.embedding
    changed = {"image_positions": "learned_places", "target_positions": False}
    new = RowEmbedding.from_config({**old.get_config(), **changed})
    new.build(None)
    new.text_positions.assign(old.positions(text=True))
    new.position_layer.embedding.assign(old.positions(text=False))
    if old.segment_embeddings:
        new.segments.assign(old.segments)
    if old.condition_dropout:
        new.null.assign(old.null)
    made = Generator(
        generator.layout,
        generator.captions,
        generator.head,
        new,
        generator.transformer,
        generator.objective.objective,
        dtype=generator.dtype_policy,
    )
    made.sampling_defaults = generator.sampling_defaults
    return made
