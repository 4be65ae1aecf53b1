import numpy as np
import pytest
from PIL import Image

from keras_bidalle.data import (
    CenterCrop,
    DALLECrop,
    RandomCrop,
    RandomResizedCrop,
    crop_named,
)

pytestmark = pytest.mark.any_backend

EVERY = [CenterCrop, RandomCrop, RandomResizedCrop, DALLECrop]


def ramp(width, height):
    """An image whose red is the column and whose green is the row."""
    pixels = np.zeros((height, width, 3), "uint8")
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return Image.fromarray(pixels)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("crop", EVERY)
@pytest.mark.parametrize("size", [(1, 1), (10000, 10), (3, 700), (16, 16)])
def test_any_image_becomes_the_size(crop, size):
    image = Image.new("RGB", size, (200, 100, 50))
    for each in [None, *(rng(seed) for seed in range(5))]:
        pixels = crop(16, flip=True)(image, each)
        assert pixels.shape == (16, 16, 3) and pixels.dtype == np.uint8
        assert pixels.flags.writeable
        np.testing.assert_array_equal(pixels, pixels * 0 + [200, 100, 50])


@pytest.mark.parametrize("crop", EVERY)
def test_evaluation_sees_the_middle(crop):
    pixels = crop(16, flip=True)(ramp(36, 16))
    np.testing.assert_array_equal(pixels[0, :, 0], np.arange(10, 26))
    np.testing.assert_array_equal(pixels[:, 0, 1], np.arange(16))
    # The shorter side is scaled to fit first.
    half = crop(8)(ramp(32, 16)).astype(int)
    assert abs(half[3, :, 0] - (8 + 2 * np.arange(8) + 0.5)).max() <= 1


@pytest.mark.parametrize("crop", EVERY)
def test_training_is_the_same_for_the_same_seed(crop):
    image = ramp(60, 50)
    make = crop(16, flip=True)
    views = [make(image, rng(seed)) for seed in range(8)]
    again = [make(image, rng(seed)) for seed in range(8)]
    np.testing.assert_array_equal(views, again)
    assert len(np.unique(np.stack(views), axis=0)) > 1


def test_scaling_down_is_antialiased():
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::2] = 255
    pixels = CenterCrop(8)(Image.fromarray(stripes))
    assert abs(pixels.astype(int) - 127.5).max() < 20


@pytest.mark.parametrize("crop", [RandomCrop, DALLECrop])
def test_what_needs_no_scaling_is_not_blurred(crop):
    image = ramp(16, 40)
    tops = set()
    for seed in range(40):
        pixels = crop(16)(image, rng(seed))
        top = int(pixels[0, 0, 1])
        np.testing.assert_array_equal(pixels[:, 0, 1], top + np.arange(16))
        tops.add(top)
    assert min(tops) < 4 and max(tops) > 20 and max(tops) <= 24


def test_random_crops_reach_both_ends():
    image = ramp(18, 16)
    lefts = [RandomCrop(16)(image, rng(s))[0, 0, 0] for s in range(40)]
    assert set(lefts) == {0, 1, 2}


def test_half_of_the_images_are_mirrored_where_asked():
    image = ramp(16, 16)
    views = [CenterCrop(16, flip=True)(image, rng(s)) for s in range(200)]
    mirrored = sum(int(view[0, 0, 0] == 15) for view in views)
    assert 70 < mirrored < 130
    for seed in range(20):
        view = CenterCrop(16)(image, rng(seed))
        assert view[0, 0, 0] == 0


def test_a_random_share_of_the_area_is_cut_out():
    crop = RandomResizedCrop(16, scale=(0.25, 0.5))
    image = ramp(100, 100)
    areas = []
    for seed in range(100):
        left, top, right, bottom = crop.training_box(image, rng(seed))
        assert 0 <= left < right <= 100 and 0 <= top < bottom <= 100
        assert right - left == pytest.approx(bottom - top)
        areas.append((right - left) * (bottom - top) / 10000)
    assert 0.25 - 1e-6 < min(areas) < 0.3 and 0.45 < max(areas) < 0.5 + 1e-6


def test_a_share_that_does_not_fit_is_all_that_fits():
    box = RandomResizedCrop(16).training_box(ramp(100, 20), rng())
    assert box[1] == 0 and box[3] == 20
    assert box[2] - box[0] == pytest.approx(20)


def test_dalle_scales_a_square_by_nine_to_twelve_eighths():
    image = ramp(200, 100)
    sides = []
    for seed in range(100):
        left, top, right, bottom = DALLECrop(16).training_box(image, rng(seed))
        assert 0 <= left < right <= 200 and 0 <= top < bottom <= 100
        # Of the square of 100, 16 of t pixels, t in 18..24.
        t = 100 * 16 / (right - left)
        assert t == pytest.approx(round(t))
        sides.append(round(t))
    assert set(sides) == set(range(18, 25))


def test_dalle_s_transformer_stays_near_the_middle():
    crop = DALLECrop(16, scale=(1, 9 / 8), offset=(3 / 8, 5 / 8))
    image = ramp(200, 100)
    boxes = [crop.training_box(image, rng(seed)) for seed in range(100)]
    sides = {round(1600 / (right - left)) for left, _, right, _ in boxes}
    assert sides == {16, 17, 18}
    assert min(left for left, *_ in boxes) >= 37
    assert max(right for _, _, right, _ in boxes) <= 100 + 63


def test_a_result_need_not_be_square():
    pixels = CenterCrop((8, 16))(ramp(16, 16))
    assert pixels.shape == (8, 16, 3)
    np.testing.assert_array_equal(pixels[:, 0, 1], np.arange(4, 12))


@pytest.mark.parametrize("size", [0, (4, 0), 2.5, "16", (4, 4, 3)])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match="`size` must be"):
        CenterCrop(size)


def test_wrong_shares_are_refused():
    with pytest.raises(ValueError, match="`scale` must be"):
        RandomResizedCrop(8, scale=(0.5, 1.5))
    with pytest.raises(ValueError, match="`scale` must be"):
        DALLECrop(8, scale=(0.5, 1))
    with pytest.raises(ValueError, match="`offset` must be"):
        DALLECrop(8, offset=(0.5, 0.2))
    with pytest.raises(ValueError, match="one side"):
        DALLECrop((8, 16))


def test_a_crop_by_name_may_have_its_older_name():
    crop = crop_named("CentreCrop", (6, 5), {"flip": True})
    assert type(crop) is CenterCrop and crop.flip and crop.height == 6


@pytest.mark.parametrize(
    "name, arguments, match",
    [("Crop", {}, "one of CenterCrop"), ("RandomCrop", {"x": 1}, "those of")],
)
def test_another_crop_is_refused(name, arguments, match):
    with pytest.raises(ValueError, match=match):
        crop_named(name, (4, 4), arguments)
