import numpy as np
import pytest

from keras_bidalle.tasks.mnist64 import image_accuracy

pytestmark = pytest.mark.any_backend

CORNERS = [(18, 18), (2, 2), (2, 34), (34, 2), (34, 34)]


class PixelReader:
    """Reads color and item from the first pixel of a crop, exactly."""

    def classify(self, crops):
        assert crops.shape[1:] == (28, 28, 3)
        values = np.rint((crops[:, 0, 0] + 1.0) * 127.5).astype(int)
        return values[:, 0], values[:, 1]


def picture(clauses):
    image = np.full((64, 64, 3), 200, "uint8")
    for location, color, item in clauses:
        image[CORNERS[location]] = (color, item, 0)
    return image


def table(rows):
    clauses = np.full((len(rows), 4, 3), -1, "int32")
    for target, row in zip(clauses, rows, strict=True):
        target[: len(row)] = row
    return clauses


def test_crops_are_read_at_the_captioned_places():
    said = [
        [(0, 2, 7)],
        [(3, 1, 3)],
        [(4, 0, 0), (1, 3, 9), (2, 1, 5)],
        [(4, 0, 1), (1, 3, 9), (2, 1, 5), (3, 2, 2)],
    ]
    shown = [
        [(0, 2, 7)],
        [(3, 1, 4)],  # another item
        [(4, 1, 0), (1, 3, 9), (2, 2, 6)],  # color; right; both
        [(4, 0, 1), (1, 3, 9), (2, 1, 5), (3, 2, 2)],
    ]
    images = np.stack([picture(row) for row in shown])
    clauses, layouts = table(said), [0, 1, 3, 4]
    for pictures in (images, images.astype("float32") / 127.5 - 1.0):
        report = image_accuracy(pictures, clauses, layouts, PixelReader())
        assert report["center"]["accuracy"] == 1.0
        assert report["quad1"] == {
            "accuracy": 0.0,
            "color_accuracy": 1.0,
            "item_accuracy": 0.0,
            "pictures": 1,
        }
        np.testing.assert_allclose(report["quad3"]["accuracy"], 1 / 3)
        np.testing.assert_allclose(report["quad3"]["color_accuracy"], 1 / 3)
        np.testing.assert_allclose(report["quad3"]["item_accuracy"], 2 / 3)
        assert report["quad4"]["accuracy"] == 1.0
        np.testing.assert_allclose(
            report["overall"]["accuracy"], (1 + 0 + 1 / 3 + 1) / 4
        )
        np.testing.assert_allclose(report["pooled"]["accuracy"], 6 / 9)


def test_wrong_pictures_are_refused():
    clauses = table([[(0, 0, 0)]])
    with pytest.raises(ValueError, match=r"\(batch, 64, 64, 3\)"):
        image_accuracy(np.zeros((1, 32, 32, 3)), clauses, [0], PixelReader())
    with pytest.raises(ValueError, match="2 and 1"):
        images = np.zeros((2, 64, 64, 3), "uint8")
        image_accuracy(images, clauses, [0], PixelReader())
