"""Images learned behind a past that is partly another picture's."""

import keras
import numpy as np
import pytest
from keras import ops
from small_generators import small_generator

from keras_bidalle.generators import NextToken, RandomOrder, ReplacedPast

B, P = 64, 6
FORWARD = np.arange(B) % 2 == 0


def to_numpy(x):
    return ops.convert_to_numpy(ops.convert_to_tensor(x))


def test_what_is_replaced_is_the_next_row_s_and_only_where_it_is_drawn():
    stacks = np.arange(B * P).reshape(B, P, 1).astype("int32")
    most = 0.8
    objective = ReplacedPast(most, seed=3)
    shares = []
    for _ in range(40):
        found = to_numpy(objective.replaced(stacks, FORWARD))
        wrong = found != stacks
        assert np.array_equal(found[wrong], np.roll(stacks, -1, 0)[wrong])
        assert not wrong[~FORWARD].any()
        shares.append(wrong[FORWARD].mean(axis=(1, 2)))
    shares = np.stack(shares)
    # Each row has a share of its own, uniform in [0, most].
    assert shares.mean() == pytest.approx(most / 2, abs=0.03)
    variance = most**2 / 12 + (most / 2 - most**2 / 3) / P
    assert shares.var() == pytest.approx(variance, rel=0.15)


def test_training_reads_it_and_nothing_else_does(monkeypatch):
    plain = small_generator()
    generator = small_generator(replaced_past=0.5)
    assert isinstance(generator.objective, ReplacedPast)
    generator.set_weights(plain.get_weights())
    rng = np.random.default_rng(0)
    rows = {
        "text": rng.integers(1, 5, (4, plain.text_length)),
        "codes": rng.integers(0, plain.num_codes, (4, *plain.code_shape)),
        "text_to_image": np.array([True, False, True, False]),
    }
    for name in ("image_logits", "text_logits"):
        np.testing.assert_allclose(
            to_numpy(generator(rows)[name]), to_numpy(plain(rows)[name]), 1e-6
        )
    # All of the past replaced: the first position has none, and stays.
    monkeypatch.setattr(
        ReplacedPast,
        "replaced",
        lambda self, stacks, forward: ops.where(
            ops.cast(forward, "bool")[:, None, None],
            ops.roll(stacks, -1, axis=0),
            stacks,
        ),
    )
    trained = to_numpy(generator(rows, training=True)["image_logits"])
    other = {**rows, "codes": np.roll(rows["codes"], -1, axis=0)}
    swapped = to_numpy(plain(other)["image_logits"])
    own = to_numpy(plain(rows)["image_logits"])
    np.testing.assert_allclose(trained[0], swapped[0], 1e-5, 1e-6)
    np.testing.assert_allclose(trained[1], own[1], 1e-5, 1e-6)
    np.testing.assert_allclose(trained[0, 0], own[0, 0], 1e-5, 1e-6)
    assert np.abs(trained[0, 1:] - own[0, 1:]).max() > 1e-4


def test_it_goes_with_any_order_and_comes_back_from_its_configuration():
    generator = small_generator(
        replaced_past=0.25, order="permuted", order_annealing=(1, 2)
    )
    assert isinstance(generator.objective, RandomOrder)
    config = keras.saving.serialize_keras_object(generator)
    again = keras.saving.deserialize_keras_object(config)
    inner = again.objective.objective
    assert isinstance(inner, ReplacedPast) and inner.most == 0.25
    assert isinstance(inner.objective, NextToken)


@pytest.mark.parametrize("most", [-0.1, 1.5, "half", None])
def test_shares_that_are_none_are_refused(most):
    with pytest.raises(ValueError, match="`most` must"):
        ReplacedPast(most)
