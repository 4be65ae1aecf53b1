"""The task: captions in and images out, images in and captions out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import keras
import numpy as np

from keras_bidalle import validation
from keras_bidalle.arguments import Configured
from keras_bidalle.captions.caption_list import caption_list
from keras_bidalle.presets.mixin import PresetMixin
from keras_bidalle.sampling.best_of import Candidates
from keras_bidalle.sampling.calls import SamplingOptions, takes_settings
from keras_bidalle.sampling.requests import encoded_prime
from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    SamplingSettings,
)
from keras_bidalle.serving.mixin import ServingMixin


@keras.saving.register_keras_serializable(package="keras_bidalle")
class TextImageModel(Configured, PresetMixin, ServingMixin, keras.Model):
    """Generates images from captions and captions from images.

    Args:
        image_tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer`.
        caption_tokenizer: `keras_bidalle.captions.CaptionTokenizer`, or
            `ClassNames` where a class is the condition.
        generator: `keras_bidalle.generators.BidirectionalTransformer`, made
            for the shapes of the two tokenizers.

    Raises:
        ValueError: if the three do not fit together.

    Example:

    ```python
    model = keras_bidalle.load("bidalle-mnist")
    images = model.text_to_image(
        ["red 3 on the upper left .", "the number is green 7 ."],
        seed=[0, 1], temperature=0.9, top_k=50,
    )
    texts = model.image_to_text(images)
    ```

    Reference:
        L-Verse, arXiv 2111.11133; Bi-directional DALL-E, arXiv 2112.00384.
    """

    def __init__(
        self,
        image_tokenizer: Any,
        caption_tokenizer: Any,
        generator: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_fit(
            code_shape=(generator.code_shape, image_tokenizer.code_shape),
            num_codes=(generator.num_codes, image_tokenizer.num_codes),
            text_length=(generator.text_length, caption_tokenizer.max_length),
            text_vocabulary_size=(
                generator.text_vocabulary_size,
                caption_tokenizer.vocabulary_size,
            ),
        )
        self.image_tokenizer = image_tokenizer
        self.caption_tokenizer = caption_tokenizer
        self.generator = generator
        self.built = True

    @property
    def sampling_defaults(self) -> Mapping[str, Any]:
        """Those of the generator (see `Generator.sampling_defaults`)."""
        return self.generator.sampling_defaults

    @sampling_defaults.setter
    def sampling_defaults(self, defaults: Mapping[str, Any]) -> None:
        self.generator.sampling_defaults = defaults

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `Generator.compile`: the generator is what is trained."""
        self.generator.compile(*args, **kwargs)

    def fit(self, x: Any = None, **kwargs: Any) -> Any:
        """Trains the generator; the image tokenizer stays as it is.

        Args:
            x: dict of `captions`, list of B str, and `images`, as in
                `image_to_text`, of which both directions are learned; or
                what `Generator.fit` takes.
            **kwargs: as in `keras.Model.fit`; `validation_data` is like `x`.

        Returns:
            `keras.callbacks.History`.

        Raises:
            ValueError: as `Generator.fit`, or on captions or images that the
                tokenizers do not take.
        """
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._rows(kwargs["validation_data"])
        return self.generator.fit(self._rows(x), **kwargs)

    def evaluate(self, x: Any = None, **kwargs: Any) -> Any:
        """As `Generator.evaluate`, on what `fit` takes."""
        return self.generator.evaluate(self._rows(x), **kwargs)

    def _rows(self, x):
        """Rows of both directions, of captions and images."""
        if not isinstance(x, Mapping) or "captions" not in x:
            return x
        text = self.caption_tokenizer.encode(list(x["captions"]))
        codes = self.image_tokenizer.encode(x["images"])
        if len(text) != len(codes):
            raise ValueError(
                "`captions` and `images` must be as many. "
                f"Received: {len(text)} and {len(codes)}"
            )
        return {
            "text": np.concatenate([text, text]),
            "codes": np.concatenate([codes, codes]),
            "text_to_image": np.arange(2 * len(text)) < len(text),
        }

    @takes_settings(TEXT_TO_IMAGE)
    def text_to_image(
        self,
        captions: str | Sequence[str],
        seed: Any = 0,
        *,
        prime: Any = None,
        best_of: int | None = None,
        scorer: Any = None,
        **options: Unpack[SamplingOptions],
    ) -> Any:
        """Draws images of captions.

        A row's image depends on its own caption, settings and seed, never
        on the rows beside it. Settings are single values, or one a row, or,
        where a position has several codes (D, depths of an RQ-VAE), an array
        (B or 1, D) with a value for each of them.

        Args:
            captions: str or list of B str.
            seed: int, for every row alike, or B ints. The same caption and
                seed give the same image.
            prime: the top part of the images, (B, h, W, C) uint8 or float in
                [-1, 1], h a multiple of the height of one position of the
                generator; the images continue it downwards.
            best_of: int, N of at least `num_samples`: so many images are
                drawn of a caption, and the `num_samples` that the scorer
                likes best returned, best first. `None` for all that are
                drawn.
            scorer: function of a list of captions and as many images,
                uint8 (n, H, W, C), to n numbers, the higher the better; by
                default `score_captions`, how likely the model itself finds
                the caption of the image.
            {settings}

        Returns:
            uint8 NumPy array (B, H, W, C), or (B, num_samples, H, W, C) when
            `num_samples` is more than 1.

        Raises:
            ValueError: on an empty or too long caption, unknown words, or a
                setting out of its range.
        """
        candidates = Candidates(options, best_of, scorer, self.score_captions)
        captions, condition = self._condition(captions, prime)
        codes = self.generator.generate_codes(
            **condition, seed=seed, **candidates.options
        )
        pictures = self.image_tokenizer.decode(
            codes, batch_size=options.get("batch_size", 64)
        )
        pictures = validation.as_uint8_images(pictures)
        pictures = pictures[candidates.kept(captions, pictures)]
        if candidates.num_samples == 1:
            return pictures
        return pictures.reshape(-1, candidates.num_samples, *pictures.shape[1:])

    def _condition(self, captions, prime):
        """Captions as a list, and what `generate_codes` takes of them."""
        captions = caption_list(captions)
        given = encoded_prime(
            prime, len(captions), self.image_tokenizer, self.generator
        )
        text = self.caption_tokenizer.encode(captions)
        return captions, {"text": text, "prime": given}

    @takes_settings(TEXT_TO_IMAGE, options=False)
    def stream_text_to_image(
        self,
        captions: str | Sequence[str],
        seed: Any = 0,
        *,
        prime: Any = None,
        **settings: Unpack[SamplingSettings],
    ) -> Iterator[Any]:
        """Draws images of captions and yields them while they grow.

        Takes what `text_to_image` does, and raises what it does at once. All
        captions are drawn together.

        Args:
            {settings}

        Yields:
            uint8 NumPy array (B, H, W, C) after each row of the generator's
            positions: gray where nothing is drawn yet. The last is what
            `text_to_image` gives.

        Example:

        ```python
        for images in model.stream_text_to_image("red 3 on the upper left ."):
            show(images[0])
        ```
        """
        _, condition = self._condition(captions, prime)
        stream = self.generator.stream_codes(**condition, seed=seed, **settings)
        return map(self._decode_partly, stream)

    def _decode_partly(self, drawn):
        codes, rows = drawn
        total = self.generator.layout.grid[0]
        shown = codes.shape[1] // total * rows
        # A tokenizer looks at neighbors: the last row goes on for a while.
        codes[:, shown:] = codes[:, shown - 1 : shown]
        pictures = validation.as_uint8_images(
            self.image_tokenizer.decode(codes)
        )
        pictures = np.array(pictures)
        pictures[:, pictures.shape[1] // total * rows :] = 128
        return pictures

    def score_captions(
        self, captions: Any, images: Any, batch_size: int = 64
    ) -> Any:
        """How likely the model finds captions of images.

        Args:
            captions: str or list of B str.
            images: array (B, H, W, C), as in `image_to_text`.
            batch_size: int, how many are scored at once.

        Returns:
            float32 NumPy array (B,), log-likelihoods in nats.
        """
        return self.generator.score_text(
            self.caption_tokenizer.encode(caption_list(captions)),
            self.image_tokenizer.encode(images, batch_size=batch_size),
            batch_size=batch_size,
        )

    @takes_settings(IMAGE_TO_TEXT)
    def image_to_text(
        self,
        images: Any,
        seed: Any = 0,
        *,
        best_of: int | None = None,
        scorer: Any = None,
        **options: Unpack[SamplingOptions],
    ) -> Any:
        """Writes captions of images.

        Args:
            images: array (B, H, W, C), uint8 in [0, 255] or float in
                [-1, 1].
            seed, best_of, scorer: as in `text_to_image`.
            {settings}

        Returns:
            list of B str, or of B lists of `num_samples` str when
            `num_samples` is more than 1.

        Raises:
            ValueError: on images of a wrong shape or range, or a setting
                out of its range.
            TypeError: on images of a wrong dtype.
        """
        candidates = Candidates(options, best_of, scorer, self._score_written)
        codes = self.image_tokenizer.encode(
            images, batch_size=options.get("batch_size", 64)
        )
        # Some tokenizers take images of any size; a generator does not.
        if codes.shape[1:] != tuple(self.image_tokenizer.code_shape):
            raise ValueError(
                "`images` must have shape (batch, height, width, channels) "
                f"with {self.image_tokenizer.image_shape} for the last three. "
                f"Received: shape={tuple(np.shape(images))}"
            )
        tokens = self.generator.generate_text(
            codes, seed=seed, legal=self.legal_tokens(), **candidates.options
        )
        texts = self.caption_tokenizer.decode(tokens)
        if best_of is not None:
            pictures = validation.as_uint8_images(images)
            texts = [texts[i] for i in candidates.kept(texts, pictures)]
        count = candidates.num_samples
        if count == 1:
            return texts
        return [texts[i : i + count] for i in range(0, len(texts), count)]

    def _score_written(self, captions, images):
        """`score_captions` of captions that may never have ended: -inf."""
        scores = np.full(len(captions), -np.inf)
        # Others are empty, or too long for an end to fit.
        takes = self.caption_tokenizer.takes
        ended = [i for i, caption in enumerate(captions) if takes(caption)]
        if ended:
            scores[ended] = self.score_captions(
                [captions[i] for i in ended], images[ended]
            )
        return scores

    def legal_tokens(self) -> Any:
        """What captions may be written with: words and the end token.

        A float32 array (text_classes,), as `Generator.generate_text` takes it.
        """
        tokenizer = self.caption_tokenizer
        forbidden = set(tokenizer.special_ids) - {tokenizer.end_id}
        return self.generator.captions.legal(forbidden)

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The generator's logits (see `Generator`)."""
        return self.generator(inputs, training=training)


def _check_fit(**pairs):
    for name, (generator, tokenizer) in pairs.items():
        if generator != tokenizer:
            raise ValueError(
                f"`generator` was made for {name}={generator}, its tokenizer "
                f"has {tokenizer}."
            )
