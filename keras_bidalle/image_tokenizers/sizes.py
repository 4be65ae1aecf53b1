"""Shapes of images and of their codes."""


def checked(image_shape, factor):
    """An image shape whose sides a factor divides, or a `ValueError`."""
    image_shape = tuple(int(side) for side in image_shape)
    if len(image_shape) != 3 or any(
        side < 1 or side % factor for side in image_shape[:2]
    ):
        raise ValueError(
            f"`image_shape` must be (height, width, channels) with sides "
            f"that are multiples of {factor}. "
            f"Received: image_shape={image_shape}"
        )
    return image_shape


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
