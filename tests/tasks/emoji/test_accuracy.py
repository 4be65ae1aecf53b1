"""Shares of right answers, and ranks."""

import pytest

from keras_bidalle.tasks.emoji.accuracy import (
    attribute_accuracy,
    ranking,
    share,
)
from keras_bidalle.tasks.emoji.attributes import KnownEmoji, attributes_of

pytestmark = pytest.mark.any_backend


def test_a_share_has_the_standard_error_of_its_count():
    assert share([True, True, True, False]) == {
        "accuracy": 0.75,
        "spread": pytest.approx((0.75 * 0.25 / 4) ** 0.5),
        "count": 4,
    }


def test_attributes_count_where_they_can_be_asked(splits):
    known = KnownEmoji(row for own in splits.values() for row in own.rows)
    rows = {row.name: row for row in splits["train"].rows}
    names = ["man cook", "woman cook", "red square", "ghost"]
    truths = [attributes_of(rows[name]) for name in names]
    read = ["man cook", "man cook", "blue square", "ghost, noto style"]
    found = attribute_accuracy(
        [known.understood(text) for text in read], truths, known
    )
    shares = {k: (v["accuracy"], v["count"]) for k, v in found.items()}
    assert shares == {
        "name": (0.5, 4),
        "concept": (1.0, 4),
        "tone": (1.0, 2),
        "gender": (0.5, 2),
        "color": (0.0, 1),
        "all": (0.5, 4),
    }
    some = attribute_accuracy(truths, truths, known, names=("concept",))
    assert list(some) == ["concept", "all"]


def test_ranks_count_from_one():
    found = ranking([1, 2, 10, 20])
    assert found["mean_reciprocal_rank"] == pytest.approx(1.65 / 4)
    recalls = [found[f"recall_at_{k}"] for k in (1, 5, 10)]
    assert recalls == [0.25, 0.5, 0.75] and found["count"] == 4
