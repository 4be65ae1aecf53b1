"""Codes that are embedded and predicted by their digits."""

import numpy as np
import pytest
from keras import ops
from small_generators import small_generator

from keras_bidalle.generators import (
    DigitBidirectionalTransformer,
    DigitHead,
    grouped_digits,
)
from keras_bidalle.quantizers import FSQ

DIGITS = (5, 3, 2)
TEXT = np.array([[1, 4, 5, 2, 0, 0], [1, 6, 2, 0, 0, 0]])


def to_numpy(x):
    return ops.convert_to_numpy(ops.convert_to_tensor(x))


def small(**options):
    sizes = {"num_codes": 30, "code_digits": DIGITS, "digit_head_width": 8}
    return small_generator(DigitBidirectionalTransformer, **sizes, **options)


def plain_logits(head, hidden, digits):
    """Logits (n, 3, 5) of positions, by NumPy."""
    width = head.digit_head_width
    start = hidden @ to_numpy(head.head_in) + to_numpy(
        head.place_embedding
    ).reshape(-1)
    known = start.reshape(len(hidden), 3, width)
    context = to_numpy(head.context_embedding).reshape(2, 5, 3, width)
    logits = np.full((len(hidden), 3, 5), -np.inf)
    for place, kinds in enumerate(DIGITS):
        x = known[:, place]
        x = x + np.maximum(x, 0) ** 2 @ to_numpy(head.mixing)[place]
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        x = x * to_numpy(head.digit_head_norm.scale)
        x = x @ to_numpy(head.kernel)[place] + to_numpy(head.bias)[place]
        logits[:, place, :kinds] = x[:, :kinds]
        if place < 2:
            known = known + context[place, digits[:, place]]
    return logits


def test_digits_are_embedded_and_predicted_as_stated():
    head = small().head
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 30, (3, 2, 2))
    digits = np.stack([codes % 5, codes // 5 % 3, codes // 15], axis=-1)
    stacks = to_numpy(head.to_positions(codes))
    np.testing.assert_array_equal(stacks, digits.reshape(3, 4, 3))
    again = to_numpy(head.from_positions(ops.convert_to_tensor(stacks)))
    np.testing.assert_array_equal(again, codes)

    table = to_numpy(head.embedding).reshape(3, 5, -1)
    vectors = sum(table[i][stacks[..., i]] for i in range(3))
    np.testing.assert_allclose(
        to_numpy(head.embed(ops.convert_to_tensor(stacks))), vectors, atol=1e-5
    )
    hidden = rng.normal(size=(3, 4, 16)).astype("float32")
    found = to_numpy(
        head.logits(
            ops.convert_to_tensor(hidden), ops.convert_to_tensor(stacks)
        )
    )
    expected = plain_logits(
        head, hidden.reshape(12, 16), stacks.reshape(12, 3)
    ).reshape(3, 4, 3, 5)
    exist = np.isfinite(expected)
    np.testing.assert_allclose(found[exist], expected[exist], atol=1e-4)
    assert (found[~exist] < -1e5).all()


def test_drawn_codes_exist_and_are_what_whole_rows_predict():
    generator = small()
    text = np.repeat(TEXT, 20, axis=0)
    codes = generator.generate_codes(text, seed=np.arange(40), temperature=3.0)
    assert codes.shape == (40, 2, 2) and 15 < codes.max() < 30
    likeliest = generator.generate_codes(text, temperature=0)
    batch = {
        "text": text,
        "codes": likeliest,
        "text_to_image": np.ones(40, bool),
    }
    stacks = to_numpy(generator(batch)["image_logits"]).argmax(-1)
    found = to_numpy(generator.head.from_positions(stacks))
    np.testing.assert_array_equal(found, likeliest)
    again = DigitBidirectionalTransformer.from_config(generator.get_config())
    assert again.get_config() == generator.get_config()
    prime = np.zeros((2, 1, 3), "int32")
    prime[0, 0, 1] = 3
    with pytest.raises(ValueError, match=r"`prime` must lie in \[0, 3\)"):
        generator.generate_codes(TEXT, prime=prime)


@pytest.mark.any_backend
def test_digits_of_a_quantizer_are_its_channels():
    quantizer = FSQ((5, 3, 4, 3))
    digits = grouped_digits(quantizer.levels, most=15)
    assert digits == (15, 12)
    head = DigitHead(quantizer.num_codes, (4, 4), 8, code_digits=digits)
    codes = np.arange(180)
    values = to_numpy(quantizer.decode(codes))
    stacks = to_numpy(head.to_positions(np.resize(codes, (12, 4, 4))))
    low = stacks.reshape(-1, 2)[:180, 0]
    for digit in range(15):
        assert len(np.unique(values[low == digit, :2], axis=0)) == 1
    assert grouped_digits([2] * 18, most=512) == (512, 512)
    assert grouped_digits((8, 8, 8, 5, 5, 5)) == (512, 125)


@pytest.mark.any_backend
def test_a_large_codebook_has_small_tables():
    generator = small_generator(
        DigitBidirectionalTransformer,
        num_codes=2**18,
        code_digits=grouped_digits([2] * 18, most=512),
        digit_head_width=8,
    )
    assert generator.count_params() < 40_000
    batch = {
        "text": TEXT,
        "codes": np.full((2, 2, 2), 2**18 - 1),
        "text_to_image": np.array([True, False]),
    }
    loss = generator.compute_loss(x=batch, y_pred=generator(batch))
    assert np.isfinite(to_numpy(loss))


@pytest.mark.any_backend
@pytest.mark.parametrize("digits", [(), (5, 6.0), (30, 1), (5, 5)])
def test_digits_that_do_not_make_the_codes_are_refused(digits):
    with pytest.raises(ValueError, match="`code_digits` must be integers"):
        DigitHead(30, (2, 2), 8, code_digits=digits)
