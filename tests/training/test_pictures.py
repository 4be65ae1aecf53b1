import numpy as np
import pytest
from PIL import Image

from keras_bidalle import training

pytestmark = pytest.mark.any_backend


def pictures(count, seed=0, size=8):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, 3), "uint8")


def test_a_grid_places_each_picture_by_row_and_column():
    images = pictures(5)
    grid = training.picture_grid(images, columns=3, gap=1)
    assert grid.shape == (2 * 9 + 1, 3 * 9 + 1, 3)
    np.testing.assert_array_equal(grid[1:9, 1:9], images[0])
    np.testing.assert_array_equal(grid[10:18, 10:18], images[4])
    assert np.all(grid[10:18, 19:27] == 128)


def test_originals_stand_left_of_their_reconstructions():
    left, right = pictures(4), pictures(4, seed=1)
    grid = training.comparison_grid(left, right, pairs=2, gap=0)
    assert grid.shape == (16, 32, 3)
    np.testing.assert_array_equal(grid[:8, 16:24], left[1])
    np.testing.assert_array_equal(grid[:8, 24:], right[1])


def test_png_files_hold_the_pixels(tmp_path):
    (image,) = pictures(1)
    training.save_png(tmp_path / "new" / "a.png", image, scale=2)
    saved = np.asarray(Image.open(tmp_path / "new" / "a.png"))
    np.testing.assert_array_equal(saved[::2, ::2], image)
    assert saved.shape == (16, 16, 3)


def test_figures_are_drawn_and_nothing_else_is_left(tmp_path):
    images = pictures(5)
    captions = ["a red 3 on the upper left and a blue 4 in the middle ."] * 5
    readings = [[("red 3 upper left", True), ("blue 9 centre", False)]] * 5
    history = [
        {"epoch": 0, "step": 5, "loss": 1.0, "val_loss": 2.0, "mae": 1.0},
        {"epoch": 1, "step": 10, "loss": 0.5, "val_loss": 1.0, "mae": 0.5},
    ]
    several = np.stack([images, images], axis=1)
    training.save_captioned(
        tmp_path / "a.png", captions, images, title="samples"
    )
    training.save_captioned(tmp_path / "b.png", captions, several)
    training.save_read_pictures(tmp_path / "c.png", images, captions, readings)
    training.save_curves(tmp_path / "d.png", history)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.png", "b.png", "c.png", "d.png"]
    for name in names:
        drawn = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        assert drawn.std() > 5


def test_wrong_clauses_are_red_and_right_ones_are_green(tmp_path):
    white = np.full((1, 8, 8, 3), 255, "uint8")

    def colours(right):
        path = tmp_path / "a.png"
        training.save_read_pictures(path, white, ["3"], [[("red 3", right)]])
        drawn = np.asarray(Image.open(path).convert("RGB")).astype(int)
        red, green, _ = drawn.reshape(-1, 3).T
        return (red - green > 100).any(), (green - red > 50).any()

    assert colours(right=True) == (False, True)
    assert colours(right=False) == (True, False)


def test_pictures_that_are_not_uint8_batches_are_refused():
    with pytest.raises(ValueError, match="`images` must be uint8"):
        training.picture_grid(pictures(2).astype("float32"))
    with pytest.raises(ValueError, match="`images` must be uint8"):
        training.picture_grid(pictures(2)[0])
    with pytest.raises(ValueError, match="must hold a picture"):
        training.picture_grid(pictures(2)[:0])
    with pytest.raises(ValueError, match="must have one shape"):
        training.comparison_grid(pictures(2), pictures(3))


def test_lists_of_different_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="lengths .*'captions': 1"):
        training.save_captioned(tmp_path / "a.png", ["one"], pictures(2))
    with pytest.raises(ValueError, match="`history` must have a row"):
        training.save_curves(tmp_path / "a.png", [])
    assert not list(tmp_path.iterdir())
