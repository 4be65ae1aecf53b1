"""What the training program asks of a task."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_bidalle import training
from keras_bidalle.configurations import Configuration
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.validation import as_uint8_images

Figures = dict[str, Any]


class Task:
    """Images with captions, and what is to be known of models of them.

    A subclass must have the first four methods; the others say how its models
    are judged and shown.

    Attributes:
        description: str that names the data and changes with it.
        held_out_count: int, images that models are judged by meanwhile.
        held_out_names: tuple of str, what `held_out_figures` measures.
    """

    description = ""
    held_out_count = 0
    held_out_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of images in an epoch."""
        raise NotImplementedError

    def tokenizer_batches(
        self, tokenizer: Any, settings: dict[str, Any], seed: int
    ) -> Callable[[int], np.ndarray]:
        """Images for an image tokenizer's `fit`.

        Args:
            tokenizer: `ImageTokenizer` that is to be trained.
            settings: dict, as `configurations.tokenizer_training` gives it.
            seed: int.

        Returns:
            Function from a step to uint8 (b, H, W, C), the rows of this
            process.
        """
        raise NotImplementedError

    def start_tokenizer(self, tokenizer: Any) -> None:
        """Called once with a new image tokenizer, before it is trained."""

    def held_out(self, image_shape: tuple[int, ...]) -> np.ndarray | None:
        """Images that are not trained on: uint8 (n, H, W, C), or `None`.

        A tokenizer is judged by them while it trains.
        """
        return None

    def held_out_figures(self, tokenizer: Any) -> dict[str, float]:
        """What is measured of a tokenizer while it trains, beside PSNR.

        Asked for where images are held out; `tokenizer` is the
        `ImageTokenizer` as it is then.
        """
        return {}

    def held_out_codes(
        self,
        folder: Any,
        image_tokenizer: Any,
        configuration: Configuration,
        rows: CaptionedCodes,
    ) -> CaptionedCodes | None:
        """As `captioned_codes`, whose `rows` they are, of images held out."""
        return None

    def examples(self, image_shape: tuple[int, ...]) -> np.ndarray:
        """A few images that are shown while training: uint8 (n, H, W, 3)."""
        raise NotImplementedError

    def captioned_codes(
        self, folder: Any, image_tokenizer: Any, configuration: Configuration
    ) -> CaptionedCodes:
        """Makes the images of an epoch into codes.

        Args:
            folder: `keras_bidalle.training.RunFolder`, where they are kept.
            image_tokenizer: `ImageTokenizer`.
            configuration: of the generator.
        """
        raise NotImplementedError

    def check(self, configuration: Configuration) -> None:
        """Raises a `ValueError` if a generator cannot be trained on this.

        Called before anything is trained.
        """

    def read_captions(
        self,
        folder: Any,
        image_shape: tuple[int, ...],
        configuration: Configuration,
    ) -> None:
        """Makes the words of a run; called before anything is trained.

        Args:
            folder: `keras_bidalle.training.RunFolder`, where they are kept.
            image_shape: tuple (H, W, C), of the image tokenizer.
            configuration: of the generator.

        Raises:
            ValueError: if no generator can be trained on the captions.
        """

    def config(self) -> Any:
        """What the task depends on, for the run's `config.json`."""
        return self.description

    def prepare(self, folder: Any) -> None:
        """Called once, when the run's folder is there."""

    def tokenizer_report(self, tokenizer: Any) -> Figures:
        """Measures an image tokenizer."""
        return {}

    def reports(
        self, model: Any, sampling: dict[str, Any]
    ) -> dict[str, Callable[[], Figures]]:
        """What is measured of a `TextImageModel`, each by its name.

        `sampling` has arguments of `text_to_image`.
        """
        return {}

    def save_pictures(
        self, folder: Any, model: Any, rows: CaptionedCodes, **sampling: Any
    ) -> None:
        """Leaves images of both directions in a run's folder."""
        training.save_captioned(
            folder / "text_to_image.png",
            rows.captions,
            model.text_to_image(
                rows.captions,
                seed=range(len(rows.captions)),
                num_samples=4,
                **sampling,
            ),
        )
        if not rows.reads:
            return
        texts = model.image_to_text(rows.images)
        training.save_captioned(
            folder / "image_to_text.png",
            [text or "(nothing)" for text in texts],
            as_uint8_images(rows.images),
        )

    def cards(self, folder: Any, plan: Any, tokenizer: Any) -> dict[str, str]:
        """Model cards of a finished run, by the preset that they belong to.

        Args:
            folder: `keras_bidalle.training.RunFolder`.
            plan: `keras_bidalle.programs.Plan`.
            tokenizer: of the run.
        """
        return {}
