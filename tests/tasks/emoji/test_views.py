"""Altered pictures, which a generator reads beside the real ones."""

import numpy as np
import pytest

from keras_bidalle.tasks.emoji.captions import EmojiCaptions, plain
from keras_bidalle.tasks.emoji.views import MOVED, SIZES, altered

pytestmark = pytest.mark.any_backend


def square(side=64, low=20, high=44, color=(200, 60, 60)):
    image = np.full((side, side, 3), 255, "uint8")
    image[low:high, low:high] = color
    return image


def test_a_view_is_moved_and_resized_within_bounds():
    rng = np.random.default_rng(0)
    sides, centers = [], []
    for _ in range(50):
        view = altered(square(), rng)
        assert view.shape == (64, 64, 3) and view.dtype == "uint8"
        rows = np.flatnonzero((view[:, :, 1] < 200).any(1))
        sides.append(len(rows))
        centers.append(rows.mean())
    # A pixel of tolerance for each edge.
    assert SIZES[0] * 24 - 2 <= min(sides) < 22
    assert 25 < max(sides) <= SIZES[1] * 24 + 2
    most = MOVED * 64 * SIZES[1] + 1
    assert max(abs(np.array(centers) - 31.5)) <= most


def test_a_view_keeps_hues_and_white():
    rng = np.random.default_rng(1)
    for _ in range(20):
        view = altered(square(), rng)
        red, green, blue = view[32, 32].astype(int)
        assert red > green and abs(green - blue) <= 1
        assert (view[0] == 255).all()


def test_views_are_read_and_pictures_are_drawn(splits, tokenizer):
    rows = splits["train"].rows
    count = len(rows)
    number = np.arange(count)[:, None, None] * np.ones((1, 2, 2), int)
    views = np.stack([number + 1000, number + 2000])
    captions = EmojiCaptions(tokenizer, rows, number, [], None, views=views)
    batch = captions.batch(200, (0, 1), text_to_image_share=0.5)
    drawn, read = batch["codes"][:100, 0, 0], batch["codes"][100:, 0, 0]
    assert drawn.max() < count
    kinds = np.bincount(read // 1000, minlength=3)
    assert kinds.min() > 15 and len(kinds) == 3
    # The name is that of the picture, whichever view is read.
    names = tokenizer.decode(batch["text"][100:])
    assert [plain(name) for name in names] == [
        plain(rows[place].name) for place in read % 1000
    ]
    assert captions.codes.max() < count
