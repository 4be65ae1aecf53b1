"""Classes and codes together: what a generator without captions learns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_bidalle.captions import ClassNames
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.text_image_model import TextImageModel


class ClassedCodes(CaptionedCodes):
    """Codes of images, each of a class; one class of all is none.

    Args:
        classes: list of str, the names of the classes.
        numbers: int array (N,), the class of each image.
        codes, images: as in `CaptionedCodes`.
    """

    reads = False

    def __init__(
        self,
        classes: list[str],
        numbers: np.ndarray,
        codes: np.ndarray,
        images: Any,
    ) -> None:
        shown = [classes[i] for i in numbers[: len(images)]]
        super().__init__(None, codes, shown, images)
        self.classes = classes
        self.numbers = np.asarray(numbers, "int32")

    @property
    def lines(self) -> list[list[str]]:
        """The name of each image's class."""
        return [[self.classes[i]] for i in self.numbers]

    def caption_tokens(
        self, chosen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        return self.numbers[chosen][:, None]

    def batch(
        self, size: int, seed: Sequence[int], text_to_image_share: float
    ) -> dict[str, np.ndarray]:
        # A class is the first token of its row: no image is read as one.
        return super().batch(size, seed, 1.0)

    def model(self, image_tokenizer: Any, generator: Any) -> "ClassImages":
        return ClassImages(image_tokenizer, self.classes, generator)


class ClassImages:
    """Draws images of classes with an image tokenizer and a generator.

    Args:
        image_tokenizer: `ImageTokenizer`.
        classes: list of str, their names in the order of their numbers.
        generator: `Generator` of at least as many classes.
    """

    def __init__(
        self, image_tokenizer: Any, classes: list[str], generator: Any
    ) -> None:
        self.image_tokenizer = image_tokenizer
        self.classes = classes
        self.generator = generator
        names = ClassNames(classes, generator.text_vocabulary_size)
        self._whole = TextImageModel(image_tokenizer, names, generator)

    @property
    def sampling_defaults(self) -> Mapping[str, Any]:
        return self.generator.sampling_defaults

    @sampling_defaults.setter
    def sampling_defaults(self, defaults: dict[str, Any]) -> None:
        self.generator.sampling_defaults = defaults

    def text_to_image(self, names: Sequence[str], **options: Any) -> np.ndarray:
        """As `TextImageModel.text_to_image`, of names of classes."""
        return self._whole.text_to_image(names, **options)

    def save_to_preset(self, folder: Any) -> None:
        """Saves the generator; its tokenizer lies beside."""
        self.generator.save_to_preset(folder)
