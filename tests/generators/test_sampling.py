import numpy as np
import pytest
from keras import ops

from keras_bidalle.generators import guide, row_uniforms, sample_tokens

LOGITS = np.log(np.array([[0.1, 0.4, 0.2, 0.25, 0.05]], "float32"))


def shares(**settings):
    """How often each token comes over a grid of uniform numbers."""
    count = 2000
    uniforms = (np.arange(count, dtype="float32") + 0.5) / count
    tokens = sample_tokens(
        ops.convert_to_tensor(np.repeat(LOGITS, count, axis=0)),
        ops.convert_to_tensor(uniforms),
        **{
            name: ops.convert_to_tensor(np.full(count, value))
            for name, value in settings.items()
        },
    )
    return np.bincount(ops.convert_to_numpy(tokens), minlength=5) / count


def test_tokens_come_with_their_probabilities():
    np.testing.assert_allclose(
        shares(temperature=np.float32(1)),
        [0.1, 0.4, 0.2, 0.25, 0.05],
        atol=1e-3,
    )


def test_temperature_sharpens_as_the_softmax_of_scaled_logits():
    expected = np.exp(LOGITS[0] / 0.5)
    np.testing.assert_allclose(
        shares(temperature=np.float32(0.5)),
        expected / expected.sum(),
        atol=1e-3,
    )


def test_temperature_zero_takes_the_likeliest_token():
    assert shares(temperature=np.float32(0))[1] == 1.0


@pytest.mark.parametrize(
    "settings,kept",
    [
        ({"top_k": np.int32(2)}, [1, 3]),
        ({"top_k": np.int32(99)}, [0, 1, 2, 3, 4]),
        ({"top_p": np.float32(0.6)}, [1, 3]),
        ({"top_p": np.float32(0.3)}, [1]),
        ({"top_p": np.float32(1.0)}, [0, 1, 2, 3, 4]),
        ({"top_k": np.int32(3), "top_p": np.float32(0.7)}, [1, 3]),
    ],
)
def test_filters_keep_the_likeliest_and_renormalise(settings, kept):
    expected = np.zeros(5)
    expected[kept] = np.exp(LOGITS[0][kept])
    np.testing.assert_allclose(
        shares(temperature=np.float32(1), **settings),
        expected / expected.sum(),
        atol=1e-3,
    )


def test_each_row_has_its_own_settings():
    logits = np.repeat(LOGITS, 3, axis=0)
    tokens = sample_tokens(
        ops.convert_to_tensor(logits),
        ops.convert_to_tensor(np.full(3, 0.999, "float32")),
        temperature=ops.convert_to_tensor(np.array([1.0, 0.0, 1.0], "float32")),
        top_k=ops.convert_to_tensor(np.array([5, 5, 2], "int32")),
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(tokens), [4, 1, 3])


def test_an_illegal_token_never_comes():
    logits = np.array([[0.0, -1e9, 0.0, -np.inf]], "float32")
    for u in (0.0, 0.4999, 0.5001, 1.0 - 2**-24):
        token = sample_tokens(
            ops.convert_to_tensor(logits),
            ops.convert_to_tensor(np.array([u], "float32")),
            ops.ones((1,)),
        )
        assert int(token[0]) in (0, 2)


def test_guidance_moves_away_from_the_null_condition():
    conditional, null = np.array([[1.0, 2.0]]), np.array([[0.0, 3.0]])
    both = ops.convert_to_tensor(
        np.concatenate([conditional, null]).astype("float32")
    )
    for scale in (0.0, 1.0, 2.5):
        np.testing.assert_allclose(
            ops.convert_to_numpy(guide(both, ops.full((1,), scale))),
            null + scale * (conditional - null),
            rtol=1e-6,
        )


def test_uniform_numbers_belong_to_the_seed_and_not_to_the_batch():
    together = row_uniforms([7, (8, 1), 9], (4, 2))
    assert together.shape == (3, 4, 2) and together.dtype == np.float32
    assert ((together >= 0) & (together < 1)).all()
    np.testing.assert_array_equal(
        row_uniforms([(8, 1)], (4, 2))[0], together[1]
    )
    assert not np.array_equal(together[0], together[2])
