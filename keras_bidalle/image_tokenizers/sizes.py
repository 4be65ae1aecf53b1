"""Shapes of images and of their codes."""

from keras_bidalle.quantizers.quantizer import Quantizer
from keras_bidalle.validation import as_integers, is_integer, refused


def checked(image_shape, factor=1):
    """An image shape whose sides a factor divides, or a `ValueError`."""
    sides = as_integers(image_shape=image_shape)
    if len(sides) != 3 or any(side % factor for side in sides[:2]):
        raise refused(
            "be (height, width, channels) with sides that are multiples of "
            f"{factor}",
            image_shape=sides,
        )
    return sides


def check_given(quantizer, image_shape):
    """Checks what every tokenizer is given, before layers are made of it."""
    if not isinstance(quantizer, Quantizer):
        raise refused("be a Quantizer", quantizer=quantizer)
    checked(image_shape)


def check_depth(depth, code_depth):
    """Checks of how many codes a position an image is to be made."""
    if depth is None:
        return
    if not is_integer(depth) or not 1 <= depth <= (code_depth or 0):
        raise refused(
            "be an integer in [1, depth of a residual quantizer]",
            depth=depth,
            code_depth=code_depth,
        )


class Sizes:
    """What an image tokenizer takes, given the shape of what came.

    Both methods give the shape of an image and that of its codes. With a
    `factor` they are those of any image whose sides it divides, else always
    `image_shape` and `code_shape`.
    """

    def __init__(self, image_shape, code_shape, factor=None):
        self._fixed = image_shape, code_shape
        self._factor = factor

    def of_images(self, shape):
        """Of a batch of images, a `ValueError` on sides not divided."""
        (*_, channels), _ = self._fixed
        if not self._factor or len(shape) != 4 or shape[-1] != channels:
            return self._fixed
        if any(side < 1 or side % self._factor for side in shape[1:3]):
            raise ValueError(
                f"`images` must have sides that are multiples of "
                f"{self._factor}. Received: shape={tuple(shape)}"
            )
        return self._of_grid(side // self._factor for side in shape[1:3])

    def of_codes(self, shape):
        """Of a batch of codes, whose stacks may be cut after a few depths."""
        image_shape, code_shape = self._fixed
        if len(shape) != len(code_shape) + 1 or 0 in shape[1:]:
            return self._fixed
        if self._factor:
            image_shape, code_shape = self._of_grid(shape[1:3])
        if len(code_shape) == 3:
            code_shape = (*code_shape[:2], min(shape[-1], code_shape[-1]))
        return image_shape, code_shape

    def _of_grid(self, grid):
        (*_, channels), (_, _, *depth) = self._fixed
        grid = tuple(grid)
        sides = (side * self._factor for side in grid)
        return (*sides, channels), (*grid, *depth)
