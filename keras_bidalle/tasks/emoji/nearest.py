"""The nearest training picture: a baseline, and a measure of copying."""

import numpy as np


class NearestPictures:
    """Finds for a picture the training picture that differs least.

    Args:
        images: uint8 array (N, H, W, C).
    """

    def __init__(self, images: np.ndarray) -> None:
        self._rows = _flat(images)
        self._squares = np.square(self._rows).sum(1)

    def __call__(
        self, images: np.ndarray, chunk: int = 128
    ) -> tuple[np.ndarray, np.ndarray]:
        """Looks up pictures.

        Args:
            images: uint8 array (B, H, W, C).
            chunk: int, how many at once.

        Returns:
            Tuple of two arrays (B,): the index of the nearest, int, and how
            far it is, float: the root of the mean squared difference, where
            1 is from black to white.
        """
        found, distances = [], []
        for at in range(0, len(images), chunk):
            rows = _flat(images[at : at + chunk])
            squares = self._squares - 2.0 * (rows @ self._rows.T)
            nearest = squares.argmin(1)
            # Anew: a small difference of large squares has no digits left.
            gaps = rows - self._rows[nearest]
            found.append(nearest)
            distances.append(np.sqrt(np.square(gaps).mean(1)))
        return np.concatenate(found), np.concatenate(distances)


def _flat(images):
    return images.reshape(len(images), -1).astype("float32") / 255.0
