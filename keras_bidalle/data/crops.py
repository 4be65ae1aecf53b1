"""From images of any size to squares of one size, as the papers cut them.

A crop is called with an image and a generator of random numbers while
training; without one it gives the view for evaluation: the shorter side
scaled to fit, the middle cut out. Cutting and scaling are one step, so that
a very long image is never enlarged as a whole.
"""

import math
from typing import Any

import numpy as np
from PIL import Image

from keras_bidalle.messages import shown
from keras_bidalle.validation import refused

Box = tuple[float, float, float, float]
Random = np.random.Generator


class CenterCrop:
    """Scales an image to cover the target and cuts out its middle.

    Args:
        size: int, or (height, width) of the result.
        flip: bool, mirrors every second image in training. Not for
            captions that mention left and right.

    Call arguments:
        image: `PIL.Image.Image` of mode "RGB".
        rng: `numpy.random.Generator` in training, `None` in evaluation.

    Returns:
        uint8 NumPy array (height, width, 3).
    """

    # As VQGAN, RQ-VAE and AugVAE scale, but always with antialiasing: Pillow's
    # filters grow with the scale, so that a new pixel averages all that it
    # covers.
    resample = Image.Resampling.BILINEAR

    def __init__(self, size: int | tuple[int, int], flip: bool = False) -> None:
        sides = (size, size) if isinstance(size, int) else size
        if not (
            isinstance(sides, (tuple, list))
            and len(sides) == 2
            and all(isinstance(side, int) and side >= 1 for side in sides)
        ):
            raise refused("be a positive integer or a pair of them", size=size)
        self.height, self.width = sides
        self.flip = flip

    def __call__(self, image, rng=None):
        if rng is None:
            box = self._covering(image)
        else:
            box = self.training_box(image, rng)
        pixels = np.array(self._cut(image, box))
        if self.flip and rng is not None and rng.random() < 0.5:
            pixels = pixels[:, ::-1].copy()
        return pixels

    def training_box(self, image: Image.Image, rng: Random) -> Box:
        """The part of an image that training sees.

        Args:
            image: `PIL.Image.Image`.
            rng: `numpy.random.Generator`.

        Returns:
            (left, top, right, bottom) in the image's pixels, floats.
        """
        return self._covering(image)

    def _covering(self, image, rng=None):
        """The largest box of the target's shape: the middle, or anywhere."""
        scale = max(self.height / image.height, self.width / image.width)
        width, height = self.width / scale, self.height / scale
        # In whole pixels of the scaled image, as one that is scaled first
        # and cut then: what needs no scaling is not blurred either.
        left, top = (
            _place(round(length * scale) - side, rng) / scale
            for length, side in (
                (image.width, self.width),
                (image.height, self.height),
            )
        )
        return _inside((left, top, left + width, top + height), image)

    def _cut(self, image, box):
        size = self.width, self.height
        if box == (0, 0, *size) and image.size == size:
            return image
        return image.resize(size, self.resample, box=box)


class RandomCrop(CenterCrop):
    """Scales the shorter side to fit and cuts out a random place.

    With `flip`, what RQ-VAE trains ImageNet, LSUN and CC3M on; without, what
    VQGAN does.

    Args:
        size: int, or (height, width) of the result.
        flip: bool, mirrors every second image in training.

    Reference:
        Lee et al., arXiv 2203.01941, section 4; Esser et al., arXiv
        2012.09841.
    """

    def training_box(self, image: Image.Image, rng: Random) -> Box:
        return self._covering(image, rng)


class RandomResizedCrop(CenterCrop):
    """Cuts out a random share of the area at a random place.

    With the defaults what AugVAE is trained on, with `flip` what RQ-VAE
    trains FFHQ on.

    Args:
        size: int, or (height, width) of the result.
        scale: pair of floats in (0, 1], the least and the largest share of
            the image's area; of a long image, what fits into it.
        flip: bool, mirrors every second image in training.

    Reference:
        Kim et al., arXiv 2111.11133 (AugVAE); Lee et al., arXiv 2203.01941
        (FFHQ).
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.75, 1.0),
        flip: bool = False,
    ) -> None:
        super().__init__(size, flip)
        _check_pair("scale", scale, 1e-6, 1)
        self.scale = (scale[0], scale[1])

    def training_box(self, image: Image.Image, rng: Random) -> Box:
        area = image.width * image.height * rng.uniform(*self.scale)
        shape = self.width / self.height
        width = min(math.sqrt(area * shape), image.width)
        height = width / shape
        if height > image.height:
            # A long image: the largest box is all that fits.
            height = image.height
            width = height * shape
        across, down = rng.random(2)
        left = across * (image.width - width)
        top = down * (image.height - height)
        return _inside((left, top, left + width, top + height), image)


class DALLECrop(CenterCrop):
    """A random square, scaled to a random size, and a random part of that.

    The defaults are those of DALL-E's discrete VAE, with `flip`. Its
    transformer has `scale=(1, 9 / 8)`, `offset=(3 / 8, 5 / 8)` and does not
    flip.

    Args:
        size: int, side of the result.
        scale: pair of floats of at least 1, the least and the largest side
            that the square is scaled to, in sides of the result. An image
            is enlarged only where it is smaller than the result.
        offset: pair of floats in [0, 1], where in the longer side the square
            may lie: 0 is the beginning, 1 the end.
        flip: bool, mirrors every second image in training.

    Reference:
        Ramesh et al., arXiv 2102.12092, appendices A and B (listings).
    """

    # "Area" in the listings.
    resample = Image.Resampling.BOX

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (9 / 8, 12 / 8),
        offset: tuple[float, float] = (0.0, 1.0),
        flip: bool = False,
    ) -> None:
        super().__init__(size, flip)
        if self.height != self.width:
            raise ValueError(
                f"`size` must be one side, of a square. Received: {shown(size)}"
            )
        _check_pair("scale", scale, 1, math.inf)
        _check_pair("offset", offset, 0, 1)
        self.scale = (scale[0], scale[1])
        self.offset = (offset[0], offset[1])

    def training_box(self, image: Image.Image, rng: Random) -> Box:
        side = min(image.width, image.height)
        place = rng.uniform(*self.offset)
        left = int(place * (image.width - side))
        top = int(place * (image.height - side))
        low, high = (
            max(self.height, min(side, round(s * self.height)))
            for s in self.scale
        )
        scaled = int(rng.integers(low, high + 1))
        part = side * self.height / scaled
        spare = scaled - self.height
        left += _place(spare, rng) * side / scaled
        top += _place(spare, rng) * side / scaled
        return _inside((left, top, left + part, top + part), image)


CROPS = {
    crop.__name__: crop
    for crop in (CenterCrop, RandomCrop, RandomResizedCrop, DALLECrop)
}


def crop_named(
    name: str, size: tuple[int, int], arguments: dict[str, Any]
) -> CenterCrop:
    """Makes a crop from what a configuration says.

    Args:
        name: str, a class of this module. `"CentreCrop"`, as older
            configurations have it, is `CenterCrop`.
        size: tuple (height, width) of the result.
        arguments: dict, the crop's other arguments.

    Raises:
        ValueError: for another name or other arguments.
    """
    crop = CROPS.get("CenterCrop" if name == "CentreCrop" else name)
    if crop is None:
        raise refused(f"be one of {', '.join(CROPS)}", crop=name)
    try:
        return crop(size, **arguments)
    except TypeError as error:
        raise ValueError(
            f"`crop_arguments` must be those of {name}. "
            f"Received: {arguments} ({error})"
        ) from error


def _check_pair(name, pair, low, high):
    if not low <= pair[0] <= pair[1] <= high:
        raise ValueError(
            f"`{name}` must be a pair of numbers in [{low:g}, {high:g}], "
            f"the lower one first. Received: {name}={shown(pair)}"
        )


def _place(spare, rng):
    return spare // 2 if rng is None else int(rng.integers(spare + 1))


def _inside(box, image):
    """The box without what rounding let stand out of the image."""
    left, top, right, bottom = box
    right, bottom = min(image.width, right), min(image.height, bottom)
    return max(0, left), max(0, top), right, bottom
