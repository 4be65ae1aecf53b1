import numpy as np
import pytest
from keras import ops

from keras_bidalle.generators import guide, row_uniforms, sample_tokens
from keras_bidalle.sampling import filters

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
        ({"min_p": np.float32(0.3)}, [1, 2, 3]),
        # At the bound is kept, and the likeliest always.
        ({"min_p": np.float32(0.5)}, [1, 2, 3]),
        ({"min_p": np.float32(1.0)}, [1]),
        ({"min_p": np.float32(0.0)}, [0, 1, 2, 3, 4]),
        ({"top_k": np.int32(2), "min_p": np.float32(0.1)}, [1, 3]),
        # Last in the order: of all the probability, `top_p` leaves three.
        ({"top_p": np.float32(0.85), "min_p": np.float32(0.5)}, [1, 2, 3]),
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


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.7},
        {"temperature": 1.0, "top_k": 100},
        {"temperature": 1.3, "top_p": 0.8},
        {"temperature": 0.9, "top_k": 40, "top_p": 0.7},
        {"temperature": 1.3, "min_p": 0.05},
        {"temperature": 1.1, "top_k": 60, "top_p": 0.9, "min_p": 0.03},
    ],
)
def test_draws_follow_the_filtered_softmax(settings):
    size, count = 300, 20_000
    logits = np.random.default_rng(0).normal(0, 2, size).astype("float32")
    shares = np.exp(logits.astype("float64") / settings["temperature"])
    shares /= shares.sum()
    order = np.argsort(-shares)
    kept = order[: settings.get("top_k", size)]
    mass = np.cumsum(shares[kept]) / shares[kept].sum()
    kept = kept[: np.searchsorted(mass, settings.get("top_p", 1.0)) + 1]
    kept = kept[shares[kept] >= settings.get("min_p", 0.0) * shares.max()]
    expected = np.zeros(size)
    expected[kept] = shares[kept] / shares[kept].sum()

    types = {"top_k": "int32"}
    tokens = sample_tokens(
        ops.convert_to_tensor(np.tile(logits, (count, 1))),
        ops.convert_to_tensor(row_uniforms([5], (count,))[0]),
        **{
            name: ops.convert_to_tensor(
                np.full(count, value, types.get(name, "float32"))
            )
            for name, value in settings.items()
        },
    )
    drawn = np.bincount(ops.convert_to_numpy(tokens), minlength=size)
    assert not drawn[expected == 0].any()
    # Tokens that are rare go together, for the test to hold.
    rare = (expected * count < 5) & (expected > 0)
    often = expected * count >= 5
    observed = np.append(drawn[often], drawn[rare].sum())
    wanted = count * np.append(expected[often], expected[rare].sum())
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    statistic = ((observed - wanted) ** 2 / wanted).sum()
    freedom = len(wanted) - 1
    # Four standard deviations of the chi-square distribution.
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def sorted_cut(row, top_k, top_p):
    """The least probability that is kept, by sorting."""
    descending = np.sort(row.astype("float64"))[::-1]
    kept = descending[:top_k] if top_k > 0 else descending
    if top_p < 1:
        before = np.cumsum(kept) - kept
        kept = kept[before < top_p * kept.sum()]
    return kept[-1]


@pytest.mark.parametrize("find", [filters._by_bisection, filters._by_sorting])
def test_both_ways_to_the_cut_are_exact(find):
    rng = np.random.default_rng(1)
    weights = rng.exponential(size=(64, 129)) ** 4
    # Ties, zeros and what is below the normal numbers.
    weights[:, 100:] = weights[:, 40:69]
    weights[::3, :20] = 0.0
    weights[1::3, :5] = 1e-41
    rows = (weights / weights.sum(-1, keepdims=True)).astype("float32")
    top_k = rng.choice([0, 1, 5, 40, 129, 500], 64).astype("int32")
    top_p = rng.choice([0.01, 0.5, 0.937, 1.0], 64).astype("float32")
    cuts = ops.convert_to_numpy(
        find(*map(ops.convert_to_tensor, (rows, top_k, top_p)))
    )[:, 0]
    expected = [
        sorted_cut(*each) for each in zip(rows, top_k, top_p, strict=True)
    ]
    for row, cut, right in zip(rows, cuts, expected, strict=True):
        np.testing.assert_array_equal(row >= cut, row >= np.float32(right))
