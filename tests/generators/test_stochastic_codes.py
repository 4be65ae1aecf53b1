import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.generators.stochastic_codes import (
    codebooks_of,
    draw_stacks,
    stack_losses,
)
from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer

CODES, CHANNELS, DEPTH, WIDTH = 5, 3, 2, 4


def tensors(count, seed=0, books=1, heads=1):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    return {
        "hidden": normal(count, DEPTH, WIDTH),
        "kernels": normal(heads, WIDTH, CODES),
        "biases": normal(heads, CODES),
        "latents": normal(count, CHANNELS),
        "stacks": rng.integers(0, CODES, (count, DEPTH)).astype("int32"),
        "codebooks": normal(books, CODES, CHANNELS),
    }


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def plain_losses(given, temperature):
    """The paper's equation, all depths and codes at once."""
    at = [i if len(given["kernels"]) > 1 else 0 for i in range(DEPTH)]
    books = np.broadcast_to(given["codebooks"], (DEPTH, CODES, CHANNELS))
    logits = (
        np.einsum("ncd,cdk->nck", given["hidden"], given["kernels"][at])
        + given["biases"][at]
    )
    chosen = np.stack(
        [books[i][given["stacks"][:, i]] for i in range(DEPTH)], axis=1
    )
    before = np.cumsum(chosen, axis=1) - chosen
    residuals = given["latents"][:, None] - before
    distances = ((residuals[:, :, None] - books[None]) ** 2).sum(axis=-1)
    if temperature is None:
        targets = np.eye(CODES)[given["stacks"]]
    else:
        targets = np.exp(log_softmax(-distances / temperature))
    return -(targets * log_softmax(logits)).sum(axis=-1)


def losses(given, temperature):
    tensors = {k: ops.convert_to_tensor(v) for k, v in given.items()}
    return ops.convert_to_numpy(
        stack_losses(**tensors, temperature=temperature)
    )


@pytest.mark.parametrize("temperature", [None, 0.5, 3.0])
@pytest.mark.parametrize("count", [1, DEPTH])
def test_losses_are_the_paper_s(temperature, count):
    given = tensors(6, books=count, heads=count)
    np.testing.assert_allclose(
        losses(given, temperature),
        plain_losses(given, temperature),
        rtol=1e-4,
        atol=1e-5,
    )


def test_soft_targets_become_the_nearest_codes_as_the_temperature_falls():
    given = tensors(6)
    given["stacks"] = ops.convert_to_numpy(
        draw_stacks(
            ops.convert_to_tensor(given["latents"]),
            ops.convert_to_tensor(given["codebooks"]),
            DEPTH,
        )
    )
    np.testing.assert_allclose(
        losses(given, 1e-4), losses(given, None), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("books", [1, DEPTH])
def test_codes_are_drawn_with_their_odds_from_what_the_drawn_ones_left(books):
    given = tensors(1, seed=3, books=books)
    count = 20000
    latent = given["latents"][0]
    drawn = ops.convert_to_numpy(
        draw_stacks(
            ops.convert_to_tensor(np.tile(latent, (count, 1))),
            ops.convert_to_tensor(given["codebooks"]),
            DEPTH,
            2.0,
            keras.random.SeedGenerator(1),
        )
    )
    first, second = given["codebooks"][0], given["codebooks"][-1]

    def odds(residual, book):
        return np.exp(log_softmax(-((residual - book) ** 2).sum(-1) / 2.0))

    joint = np.stack(
        [
            p * odds(latent - e, second)
            for p, e in zip(odds(latent, first), first, strict=True)
        ]
    )
    found = np.zeros((CODES, CODES))
    np.add.at(found, (drawn[:, 0], drawn[:, 1]), 1.0 / count)
    np.testing.assert_allclose(found, joint, atol=0.015)


@pytest.mark.parametrize("shared", [True, False])
def test_the_nearest_stacks_are_the_quantizer_s_codes(shared):
    quantizer = ResidualQuantizer(
        VectorQuantizer(CODES, CHANNELS, codebook_initializer="normal"),
        code_depth=DEPTH,
        shared=shared,
    )
    latents = ops.convert_to_tensor(tensors(20)["latents"])
    codebooks = ops.convert_to_tensor(codebooks_of(quantizer))
    expected = ops.convert_to_numpy(quantizer.encode(latents))

    def draw(temperature, seed=None):
        stacks = draw_stacks(latents, codebooks, DEPTH, temperature, seed)
        return ops.convert_to_numpy(stacks)

    np.testing.assert_array_equal(draw(None), expected)
    generator = keras.random.SeedGenerator(0)
    np.testing.assert_array_equal(draw(1e-6, generator), expected)
    first = draw(2.0, keras.random.SeedGenerator(1))
    again = draw(2.0, keras.random.SeedGenerator(1))
    np.testing.assert_array_equal(first, again)
    assert np.any(draw(2.0, generator) != draw(2.0, generator))
