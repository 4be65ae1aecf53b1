import json

import numpy as np
import pytest

from keras_bidalle.tasks.mnist64 import caption_accuracy, caption_grammar

pytestmark = pytest.mark.any_backend


def score(captions, truths, layouts=None):
    clauses = np.full((len(truths), 4, 3), -1, "int32")
    for row, truth in zip(clauses, truths, strict=True):
        row[: len(truth)] = truth
    if layouts is None:
        layouts = [len(truth) for truth in truths]
    return caption_accuracy(captions, clauses, layouts, caption_grammar())


def figures(report):
    return [
        report[name]
        for name in (
            "accuracy",
            "color_accuracy",
            "item_accuracy",
            "extra_clauses",
        )
    ]


def test_a_clause_is_right_when_location_color_and_item_are():
    truth = [[(1, 1, 3), (4, 3, 8)]]
    for caption, expected in {
        "red 3 on the upper left , and the bottom right is blue 8 .": [
            1,
            1,
            1,
            0,
        ],
        "red 3 on the upper left .": [0.5, 0.5, 0.5, 0],
        "red 3 on the upper left , and blue 7 on the lower right .": [
            0.5,
            1,
            0.5,
            0.5,
        ],
        "green 3 on the top left .": [0, 0, 0.5, 0.5],
        "red 3 on the upper right .": [0, 0, 0, 0.5],
        "": [0, 0, 0, 0],
    }.items():
        report = score([caption], truth)
        assert figures(report["pooled"]) == expected, caption
        assert report["quad2"] == report["overall"] == report["pooled"]


def test_a_repeated_clause_earns_nothing_and_is_extra():
    truth = [[(1, 1, 3), (4, 3, 8)]]
    caption = " , ".join(["red 3 on the upper left"] * 4)
    assert figures(score([caption], truth)["pooled"]) == [0.5, 0.5, 0.5, 1.5]


def test_two_items_of_one_color_are_told_apart_by_location():
    truth = [[(1, 1, 3), (2, 1, 3)]]
    caption = "red 3 on the upper left , and red 3 on the upper left ."
    assert figures(score([caption], truth)["pooled"])[0] == 0.5


def test_overall_is_the_mean_over_layouts_and_pooled_over_clauses():
    truths = [[(0, 0, 5)], [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 0, 4)]]
    captions = ["this is white 5 .", "white 1 on the upper left ."]
    report = score(captions, truths, layouts=[0, 4])
    assert report["center"]["accuracy"] == 1.0
    assert report["quad4"]["accuracy"] == 0.25
    assert report["overall"]["accuracy"] == (1.0 + 0.25) / 2
    assert report["pooled"]["accuracy"] == 2 / 5
    assert set(report) == {"center", "quad4", "overall", "pooled"}
    assert report["overall"]["pictures"] == 2
    json.dumps(report)


def test_it_equals_a_plain_statement_on_random_captions():
    rng = np.random.default_rng(0)
    grammar = caption_grammar()

    def clauses_of(count):
        return [
            (int(at), int(rng.integers(2)), int(rng.integers(2)))
            for at in rng.permutation(np.arange(1, 5))[:count]
        ]

    truths = [clauses_of(rng.integers(1, 5)) for _ in range(200)]
    said = [clauses_of(rng.integers(1, 5)) for _ in range(200)]
    captions = []
    for clauses in said:
        rows = np.asarray([clauses])
        captions += grammar.captions(rows, grammar.sample_phrases(rows, rng))
    report = score(captions, truths)
    for count in (1, 2, 3, 4):
        rows = [i for i, truth in enumerate(truths) if len(truth) == count]
        right = sum(clause in said[i] for i in rows for clause in truths[i])
        figure = report[f"quad{count}"]
        np.testing.assert_allclose(
            figure["accuracy"], right / (count * len(rows))
        )
        total = sum(len(said[i]) for i in rows)
        np.testing.assert_allclose(
            figure["extra_clauses"], (total - right) / (count * len(rows))
        )


def test_different_numbers_are_refused():
    with pytest.raises(ValueError, match="1 and 2"):
        score(["red 3 ."], [[(0, 1, 3)]] * 2)
    with pytest.raises(ValueError, match="`layouts`"):
        score(["red 3 ."], [[(0, 1, 3)]], layouts=[0, 1])
    with pytest.raises(ValueError, match="there must be pictures"):
        score([], [])
