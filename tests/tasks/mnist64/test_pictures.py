import dataclasses

import numpy as np
import pytest

from keras_bidalle.tasks.mnist64 import (
    MNIST64,
    held_out_combinations,
    item_crops,
    load_items,
)
from keras_bidalle.tasks.mnist64.pictures import SPLITS

pytestmark = pytest.mark.any_backend

CORNERS = [(18, 18), (2, 2), (2, 34), (34, 2), (34, 34)]
RGB = [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)]


def combinations(batch):
    clauses = batch.clauses.reshape(-1, 3)
    return {tuple(clause) for clause in clauses.tolist() if clause[0] >= 0}


@pytest.mark.parametrize("split", SPLITS)
def test_every_pixel_is_where_the_clauses_say(items, split):
    batch = MNIST64(items, split).sample(60, seed=3)
    offset = 1 if split == "train" else 11
    expected = np.zeros((60, 64, 64, 3), "uint8")
    for picture, clauses in zip(expected, batch.clauses, strict=True):
        for location, color, item in clauses[clauses[:, 0] >= 0]:
            top, left = CORNERS[location]
            picture[top : top + 28, left : left + 28] = np.asarray(
                RGB[color]
            ) * (offset + 20 * item)
    assert batch.images.dtype == np.uint8
    np.testing.assert_array_equal(batch.images, expected)


def test_layouts_hold_so_many_items_in_distinct_quadrants(items):
    batch = MNIST64(items).sample(500, seed=0)
    for layout, clauses in zip(batch.layouts, batch.clauses, strict=True):
        locations = clauses[:, 0][clauses[:, 0] >= 0].tolist()
        assert len(locations) == max(1, layout)
        assert len(set(locations)) == len(locations)
        assert (locations == [0]) == (layout == 0)
        assert (clauses[len(locations) :] == -1).all()


def test_layouts_and_locations_are_about_uniform(items):
    batch = MNIST64(items).sample(5000, seed=0)
    shares = np.bincount(batch.layouts, minlength=5) / 5000
    np.testing.assert_allclose(shares, 0.2, atol=0.02)
    locations = batch.clauses[..., 0]
    quadrants = np.bincount(locations[locations > 0], minlength=5)[1:]
    np.testing.assert_allclose(quadrants / quadrants.sum(), 0.25, atol=0.02)
    # The order in the caption is free: any quadrant may come first.
    first = batch.clauses[batch.layouts == 4, 0, 0]
    assert (np.bincount(first, minlength=5)[1:] > 200).all()


@pytest.mark.parametrize("layout", range(5))
def test_one_layout_can_be_asked_for(items, layout):
    batch = MNIST64(items).sample(20, seed=0, layout=layout)
    assert (batch.layouts == layout).all()


def test_held_out_combinations_are_balanced():
    held_out = held_out_combinations()
    assert held_out.shape == (5, 4, 10)
    assert held_out.sum() == 20
    assert (held_out.sum(axis=(1, 2)) == 4).all()
    assert (held_out.sum(axis=(0, 2)) == 5).all()
    assert (held_out.sum(axis=(0, 1)) == 2).all()
    # Every pair is still seen in training, and no pair is held out twice.
    for axis in range(3):
        assert held_out.sum(axis=axis).max() == 1
        assert (~held_out).sum(axis=axis).min() >= 3


def test_splits_share_no_combination_and_no_item_with_training(items):
    train, instances, unseen = (
        MNIST64(items, split).sample(4000, seed=0) for split in SPLITS
    )
    held_out = {tuple(t) for t in np.argwhere(held_out_combinations())}
    every = {tuple(t) for t in np.ndindex(5, 4, 10)}
    assert combinations(train) == every - held_out
    assert combinations(instances) == every - held_out
    assert combinations(unseen) == held_out
    # Train pixels are 20n + 1, test pixels 20n + 11.
    for batch, rest in ((train, 1), (instances, 11), (unseen, 11)):
        assert set(np.unique(batch.images % 20)) == {0, rest}


def test_same_seed_same_batch_and_other_seed_another(items):
    data = MNIST64(items)
    one, same, other = (data.sample(8, seed) for seed in ((5, 1), (5, 1), 5))
    np.testing.assert_array_equal(one.images, same.images)
    np.testing.assert_array_equal(one.clauses, same.clauses)
    assert one.captions == same.captions
    assert not np.array_equal(one.images, other.images)


def test_captions_say_what_the_pictures_show(items):
    batch = MNIST64(items).sample(50, seed=0)
    assert len(batch) == len(batch.captions) == 50
    for caption, clauses in zip(batch.captions, batch.clauses, strict=True):
        expected = [tuple(c) for c in clauses.tolist() if c[0] >= 0]
        assert batch.grammar.parse(caption) == expected


def test_fashion_pictures_have_fashion_words(items):
    fashion = dataclasses.replace(items, name="fashion_mnist")
    text = " ".join(MNIST64(fashion).sample(50, seed=0).captions)
    assert "ankle boot" in text
    assert "tshirt" in text


def test_crops_are_colored_items_in_cells_with_a_margin(items):
    crops = MNIST64(items).crops(400, seed=0)
    assert crops.shape == (400, 32, 32, 3)
    assert crops.dtype == np.uint8
    empty = ~crops.any(axis=(1, 2, 3))
    assert 0.01 < empty.mean() < 0.1
    inner = crops[:, 2:30, 2:30]
    assert crops.sum() == inner.sum()
    # One flat color in each cell: value times the color's mask.
    flat = inner[~empty].reshape(-1, 784, 3)
    assert (flat == flat[:, :1]).all()
    masks = {tuple(row) for row in (flat[:, 0] > 0).astype(int).tolist()}
    assert masks == set(RGB)
    assert len(np.unique(flat.max(axis=(1, 2)))) == 10


def test_translated_groups_show_the_same_at_the_five_places(items):
    groups = MNIST64(items, "unseen_instances").translated_groups(6, seed=0)
    assert groups.shape == (6, 5, 64, 64, 3)
    # 32x32 around each place: the content and nothing else.
    cells = [
        groups[:, i, top - 2 : top + 30, left - 2 : left + 30]
        for i, (top, left) in enumerate(CORNERS)
    ]
    for i, cell in enumerate(cells):
        np.testing.assert_array_equal(cell, cells[0])
        assert cell.sum() == groups[:, i].sum() > 0


def test_item_crops_are_cut_at_the_places():
    images = np.arange(5 * 64 * 64 * 3).reshape(5, 64, 64, 3)
    crops = item_crops(images, np.arange(5))
    for i, (top, left) in enumerate(CORNERS):
        np.testing.assert_array_equal(
            crops[i], images[i, top : top + 28, left : left + 28]
        )


def test_bad_arguments_are_named(items):
    with pytest.raises(ValueError, match="split='test'"):
        MNIST64(items, "test")
    with pytest.raises(ValueError, match="layout=5"):
        MNIST64(items).sample(2, seed=0, layout=5)
    some = items.train_labels < 9
    lacking = dataclasses.replace(
        items,
        train_images=items.train_images[some],
        train_labels=items.train_labels[some],
    )
    with pytest.raises(ValueError, match="labels 0 to 9"):
        MNIST64(lacking)


def test_real_digits_are_drawn_as_they_are(shared_dir):
    items = load_items("mnist", shared_dir / "data" / "mnist")
    assert items.train_images.shape == (60000, 28, 28)
    assert items.test_images.shape == (10000, 28, 28)
    assert items.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    batch = MNIST64(items, "unseen_instances").sample(20, 0, layout=0)
    crops = item_crops(batch.images, np.zeros(20, "int64")).max(axis=-1)
    for crop, (_, _, item) in zip(crops, batch.clauses[:, 0], strict=True):
        same = (items.test_images == crop).all(axis=(1, 2))
        assert item in items.test_labels[same]
