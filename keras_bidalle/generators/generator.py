"""A generator: its parts, how they work together, and what it offers."""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import keras
import numpy as np

from keras_bidalle.arguments import Configured, check_shared, kept_arguments
from keras_bidalle.backend.optimizers import compile_arguments, synchronized
from keras_bidalle.generators.caption_tokens import CaptionTokens
from keras_bidalle.generators.heads.image_head import ImageHead
from keras_bidalle.generators.next_token import NextToken
from keras_bidalle.generators.row_embedding import RowEmbedding
from keras_bidalle.generators.training_rows import RowChecks
from keras_bidalle.own_loss import OwnLoss
from keras_bidalle.presets.mixin import PresetMixin
from keras_bidalle.quantized_layers import quantized_layers
from keras_bidalle.sampling.calls import SamplingOptions, takes_settings
from keras_bidalle.sampling.generation import RowSampling
from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    SamplingSettings,
    checked_defaults,
)
from keras_bidalle.transformer.row_layout import RowLayout
from keras_bidalle.transformer.transformer import Transformer
from keras_bidalle.validation import check_own_loss

_LAYERS = ("captions", "head", "embedding", "transformer")
_PARTS = ("layout", *_LAYERS, "objective")


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Generator(Configured, OwnLoss, PresetMixin, keras.Model):
    """Models [caption][image] and [image][caption] rows with the same weights.

    Direction is data: a batch may mix rows of both directions, and one
    program trains on them. Captions, a pad token for each caption position,
    and codes share one vocabulary, of which each position may predict its
    own modality's part.

    Args:
        layout: `RowLayout`, where everything stands.
        captions: `CaptionTokens`, which embeds and predicts them.
        head: `ImageHead`, which embeds, predicts and draws codes.
        embedding: `RowEmbedding`, places and segments.
        transformer: `Transformer`.
        objective: what is predicted from what; `NextToken()` if `None`.

    Call arguments:
        inputs: dict of `text`, int (B, T), rows `[start] words [end]
            [pad]...`; `codes`, int (B, *code_shape) in [0, K), or what else
            the head learns from; `text_to_image`, bool (B,), the direction
            of each row.

    Returns:
        dict of `text_logits` (B, T - 1, V_t + T), or (B, T - 1, V_t) without
        `pad_tokens`, for the caption tokens after the first (for all T with
        `predict_start`, of which the first of a [caption][image] row never
        counts), `image_logits` (B, P, c, K), for all codes (of an
        [image][caption] row the first is never predicted), both float32, and
        `kept`, bool (B,), `False` for rows whose condition was dropped. Where
        the objective has another order than raster, `order`, int (B, P), is
        there too; all else stays in raster order. `generators.joint_logits`
        has logits in the row's order.

    `fit` logs `loss`; `image_loss` and `text_loss`, nats a token of the
    target. The parts of published models: `BidirectionalTransformer`,
    `PatchBidirectionalTransformer`, `RQTransformer`.
    """

    # Of the Keras layer, which has no types.
    built: bool

    def __init__(
        self,
        layout: RowLayout,
        captions: CaptionTokens,
        head: ImageHead,
        embedding: RowEmbedding,
        transformer: Transformer,
        objective: Any = None,
        **kwargs: Any,
    ) -> None:
        # Latents stay float32 until they are compared with codes.
        super().__init__(autocast=False, **kwargs)
        check_shared(
            text_length=(layout, captions, embedding),
            width=(captions, head, embedding, transformer),
            grid=(layout, head, embedding),
            depth=(layout, transformer),
        )
        self.layout = layout
        self.captions = captions
        self.head = head
        self.embedding = embedding
        self.transformer = transformer
        self.objective = NextToken() if objective is None else objective
        # What callers have to know of the parts.
        self.text_vocabulary_size = captions.text_vocabulary_size
        self.text_length = layout.text_length
        self.num_codes = head.num_codes
        self.code_shape = head.code_shape
        self.codes_per_position = head.codes_per_position
        self.condition_dropout = embedding.condition_dropout
        self.sampling_defaults = {}
        self.image_tracker = keras.metrics.Mean(name="image_loss")
        self.text_tracker = keras.metrics.Mean(name="text_loss")
        self.build()

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        for part in (getattr(self, name) for name in _LAYERS):
            # Keras builds those of a saved configuration.
            if not part.built:
                part.build(None)
        self.built = True

    def call(self, inputs: dict, training: bool | None = None) -> dict:
        text, direction = inputs["text"], inputs["text_to_image"]
        stacks = self.head.stacks(inputs, training)
        order = self.objective.order(self, text, training)
        before_text, before_image, kept = self.objective.hidden_states(
            self, text, stacks, direction, training, order
        )
        outputs = {
            "text_logits": self.captions.logits(before_text),
            **self.head.predictions(inputs, before_image, stacks, training),
            "kept": kept,
        }
        return outputs if order is None else {**outputs, "order": order}

    def stream(
        self,
        text: Any,
        stacks: Any,
        text_to_image: Any,
        training: bool | None = None,
        order: Any = None,
    ) -> tuple:
        """Runs rows through the transformer, before any head.

        Takes caption tokens int (B, T), stacks of codes int (B, P, c),
        directions bool (B,) and the image positions of the stacks, int
        (B, P), raster order if `None`; gives the stream in the rows' own
        order, (B, T + P, d), and `kept` (see the class).
        """
        *parts, kept = self.embedding.parts(
            self.captions.embed(text),
            self.head.embed(stacks),
            text_to_image,
            training,
            order,
        )
        places = self.layout.places(
            text_to_image,
            self.compute_dtype,
            self.captions.is_padding(text),
            order=order,
        )
        x = self.layout.in_order(text_to_image, *parts)
        return self.transformer(x, places=places, training=training), kept

    @property
    def sampling_defaults(self) -> Mapping[str, Any]:
        """The settings that calls take where they are given none.

        From "text_to_image" and "image_to_text" to settings, which presets
        keep. They are changed by assigning a dict, never in place: what is
        returned cannot be changed.
        """
        return self._sampling_defaults()

    @sampling_defaults.setter
    def sampling_defaults(self, defaults: Mapping[str, Any]) -> None:
        kept = checked_defaults(defaults, self)
        # Behind a function, where Keras does not track it.
        self._sampling_defaults = lambda: kept

    @property
    def blocks(self) -> Sequence:
        """The transformer's blocks, to give them adapters say."""
        # Keras would save those of a list a second time.
        return collections.UserList(self.transformer.blocks)

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any
    ) -> None:
        """As `keras.Model.compile`, without losses and metrics."""
        check_own_loss(loss=loss, **kwargs)
        super().compile(optimizer, **compile_arguments(kwargs))
        synchronized(self.optimizer)

    def fit(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Trains, as `keras.Model.fit`, on inputs as when called.

        Tokens and codes are checked: of arrays all at once, of a
        `PyDataset`, a generator and a `tf.data.Dataset` each batch as it is
        read, also of `validation_data`. What a `tf.distribute` strategy has
        made of a dataset before is not looked at.

        Raises:
            ValueError: on weights of samples or classes, for which there is
                no place, or tokens and codes out of their range.
            TypeError: on tokens or codes that are no integers.
        """
        self.head.check_trainable()
        check_own_loss(y=y, **kwargs)
        checks = RowChecks(self)
        if "validation_data" in kwargs:
            kwargs["validation_data"] = checks.checked(
                kwargs["validation_data"]
            )
        with checks.told():
            return super().fit(checks.checked(x), None, *args, **kwargs)

    def own_loss(self, x: Any, y_pred: Any, training: bool) -> Any:
        """The loss of a batch, as the objective has it."""
        loss, logged = self.objective.loss(self, x, y_pred, training)
        self.image_tracker.update_state(*logged["image"])
        self.text_tracker.update_state(*logged["text"])
        for extra in self.losses:
            loss = loss + extra
        return loss

    # What is compiled is kept, outside of what Keras tracks as state.
    @functools.cached_property
    def _sampling(self) -> RowSampling:
        return RowSampling(self)

    @takes_settings(TEXT_TO_IMAGE)
    def generate_codes(
        self,
        text: Any,
        seed: Any = 0,
        *,
        prime: Any = None,
        **options: Unpack[SamplingOptions],
    ) -> np.ndarray:
        """Draws the codes of images, given captions or classes.

        A row depends on its own condition, settings and seed, never on the
        rows beside it. Each setting is one value, or B, or an array (B or
        1, c) with a value for each code of a position.

        Args:
            text: int array (B, T), rows of caption tokens.
            seed: int, for every row alike, or B ints.
            prime: int array (B, n, c), the first n < P positions of each
                image, as `head.to_positions` gives them.
            {settings}

        Returns:
            int32 NumPy array (B * num_samples, *code_shape), the samples of
            a row one after the other.

        Raises:
            ValueError: if a shape is wrong, or a setting out of its range.
        """
        return self._sampling.codes(text, prime, seed, options)

    @takes_settings(IMAGE_TO_TEXT)
    def generate_text(
        self,
        codes: Any,
        seed: Any = 0,
        *,
        legal: Any = None,
        **options: Unpack[SamplingOptions],
    ) -> np.ndarray:
        """Draws captions, given the codes of images.

        Args:
            codes: int array (B, *code_shape).
            seed: as in `generate_codes`.
            legal: float array (text_classes,), 0 for tokens that may be
                written and very negative for others; by default all but the
                pads of the positions may be.
            {settings}

        Returns:
            int32 NumPy array (B * num_samples, T).

        Raises:
            ValueError: if a setting is out of its range, or the condition is
                a class, which is never predicted.
        """
        return self._sampling.text(codes, legal, seed, options)

    @takes_settings(TEXT_TO_IMAGE, options=False)
    def stream_codes(
        self,
        text: Any,
        seed: Any = 0,
        *,
        prime: Any = None,
        **settings: Unpack[SamplingSettings],
    ) -> Any:
        """Draws the codes of images and yields them row by row.

        Takes what `generate_codes` does, and raises what it does at once.

        Args:
            {settings}

        Yields:
            Tuple of an int32 NumPy array (B, *code_shape), 0 where nothing
            is drawn yet, and of how many of its first rows (of patches, where
            a position is one) are. The last is what `generate_codes` gives.
        """
        return self._sampling.stream(text, prime, seed, settings)

    def score_text(
        self, text: Any, codes: Any, batch_size: int = 64
    ) -> np.ndarray:
        """The log-likelihood of captions, given the codes of images.

        Args:
            text, codes: int arrays (B, T) and (B, *code_shape).
            batch_size: int, how many are scored at once.

        Returns:
            float32 NumPy array (B,), nats of the tokens after the first.

        Raises:
            ValueError: if an argument has a wrong shape, or is a class.
        """
        return self._sampling.scores(text, codes, batch_size)

    def arguments(self) -> dict:
        """What the constructor takes, beside `name` and `dtype`."""
        return kept_arguments(self)

    def get_config(self) -> dict:
        own = {**self.arguments(), **quantized_layers(self)}
        return {**keras.Model.get_config(self), **own}

    @classmethod
    def current_arguments(cls, config: Mapping[str, Any]) -> dict:
        # The whole computes in one dtype, that it is loaded in.
        for part in (config[name]["config"] for name in _PARTS):
            part.update({"dtype": config["dtype"]} if "dtype" in part else {})
        return dict(config)
