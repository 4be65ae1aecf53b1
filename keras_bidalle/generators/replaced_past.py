"""Images learned behind a past that is partly another picture's."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.arguments import Configured
from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.generators.next_token import NextToken
from keras_bidalle.validation import check_at_least, refused


@keras.saving.register_keras_serializable(package="keras_bidalle")
class ReplacedPast(Configured, keras.layers.Layer):
    """An objective whose targets stand behind codes that are partly wrong.

    In training, of each image that is drawn from its caption, a share of the
    positions, uniform in [0, `most`], holds the codes of the batch's next row
    where the model reads them. What is predicted stays as it was. A model
    that has learned its pictures by heart trusts its own past more than the
    caption; here the past may be wrong, and the caption never is. Images that
    are read, evaluation and sampling are as without.

    Args:
        most: float in [0, 1], the largest share that is replaced.
        objective: `NextToken` or another objective, what is predicted from
            what; `NextToken()` if `None`.
        seed: int or `None`, for what is replaced.

    Raises:
        ValueError: if `most` is out of its range.

    Example:

    ```python
    generator = BidirectionalTransformer(**sizes, replaced_past=0.4)
    generator.objective  # ReplacedPast
    ```

    Reference:
        Scheduled sampling, arXiv 1506.03099, whose wrong past is the model's
        own; noise on what a model is conditioned on, arXiv 2106.15282.
    """

    def __init__(
        self,
        most: float,
        objective: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_at_least(most=most)
        if most > 1:
            raise refused("lie in [0, 1]", most=most)
        self.most = most
        self.objective = NextToken() if objective is None else objective
        self.seed = seed
        self.seed_generator = NoiseSeedGenerator(seed)
        self.built = True

    def replaced(self, stacks: Any, text_to_image: Any) -> Any:
        """Stacks as the model is to read them.

        Args:
            stacks: int tensor (B, P, c).
            text_to_image: bool tensor (B,), which rows draw.

        Returns:
            int tensor (B, P, c).
        """
        rows, count = ops.shape(stacks)[0], stacks.shape[1]
        numbers = keras.random.uniform(
            (rows, count + 1), dtype="float32", seed=self.seed_generator
        )
        chosen = numbers[:, 1:] < self.most * numbers[:, :1]
        drawn = ops.cast(text_to_image, "bool")[:, None]
        chosen = ops.logical_and(chosen, drawn)[..., None]
        return ops.where(chosen, ops.roll(stacks, -1, axis=0), stacks)

    def order(self, *args: Any, **kwargs: Any) -> Any:
        """As `NextToken.order`."""
        return self.objective.order(*args, **kwargs)

    def hidden_states(
        self,
        generator: Any,
        text: Any,
        stacks: Any,
        text_to_image: Any,
        training: bool | None = None,
        order: Any = None,
    ) -> tuple:
        """As `NextToken.hidden_states`, behind what was replaced."""
        if training:
            stacks = self.replaced(stacks, text_to_image)
        return self.objective.hidden_states(
            generator, text, stacks, text_to_image, training, order
        )

    def loss(self, *args: Any, **kwargs: Any) -> tuple:
        """As `NextToken.loss`."""
        return self.objective.loss(*args, **kwargs)
