import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle import generators
from keras_bidalle.backend.recomputation import drawn_seed, recomputed

# Step by step, JAX compiles each operation: that takes longer than one whole.
ON_JAX = keras.config.backend() == "jax"


def generator(cls, **kwargs):
    shape = (2, 2, 2) if cls is generators.RQTransformer else (2, 2)
    model = cls(
        text_vocabulary_size=8,
        text_length=3,
        num_codes=8,
        code_shape=shape,
        width=8,
        depth=2,
        num_heads=2,
        **kwargs,
    )
    model.compile(keras.optimizers.SGD(0.1), jit_compile=ON_JAX)
    return model


def batch(model):
    rng = np.random.default_rng(0)
    return {
        "text": rng.integers(3, 8, (4, 3)).astype("int32"),
        "codes": rng.integers(0, 8, (4, *model.code_shape)).astype("int32"),
        "text_to_image": np.array([True, False, True, False]),
    }


@pytest.mark.parametrize(
    "cls", [generators.BidirectionalTransformer, generators.RQTransformer]
)
def test_gradients_are_the_same(cls):
    plain, checkpointed = (
        generator(cls),
        generator(cls, gradient_checkpointing=True),
    )
    rng = np.random.default_rng(1)
    # Branches start at zero, where most gradients are zero too.
    weights = [rng.normal(0, 0.3, w.shape) for w in plain.weights]
    for model in (plain, checkpointed):
        model.set_weights(weights)
    before = plain.get_weights()
    losses = [
        model.train_on_batch(batch(model)) for model in (plain, checkpointed)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    moved = 0
    for old, expected, found in zip(
        before, plain.get_weights(), checkpointed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(expected, found, atol=1e-6)
        moved += not np.array_equal(old, expected)
    assert moved > len(before) / 2


def test_it_is_kept_in_the_configuration():
    model = generator(
        generators.BidirectionalTransformer, gradient_checkpointing=True
    )
    again = type(model).from_config(model.get_config())
    assert all(
        block.gradient_checkpointing for block in again.transformer.blocks
    )


def test_it_trains_with_dropout():
    model = generator(
        generators.BidirectionalTransformer,
        gradient_checkpointing=True,
        dropout=0.5,
    )
    seeds = [
        ops.convert_to_numpy(block.drop.seed_generator.state)
        for block in model.transformer.blocks
    ]
    loss = np.mean(model.train_on_batch(batch(model)))
    assert np.isfinite(loss)
    for block, seed in zip(model.transformer.blocks, seeds, strict=True):
        now = ops.convert_to_numpy(block.drop.seed_generator.state)
        assert not np.array_equal(seed, now)


class Dropping(keras.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(64,), initializer="ones")
        self.seeds = keras.random.SeedGenerator(5)

    def call(self, x):
        seed = drawn_seed(self.seeds)
        return recomputed(
            lambda x: keras.random.dropout(x * self.scale, 0.5, seed=seed), x
        )


def test_the_gradient_sees_the_noise_of_the_forward_pass():
    model = keras.Sequential([keras.Input((64,)), Dropping()])
    model.compile(
        keras.optimizers.SGD(1.0),
        loss=lambda _, y: ops.sum(y, axis=-1),
        jit_compile=ON_JAX,
    )
    ones = np.ones((1, 64), "float32")
    model.train_on_batch(ones, ones)
    expected = keras.random.dropout(
        ops.ones((1, 64)), 0.5, seed=keras.random.SeedGenerator(5)
    )
    # The gradient of each is what it was multiplied with: 0 or 2.
    np.testing.assert_allclose(
        1.0 - model.get_weights()[0],
        ops.convert_to_numpy(expected)[0],
        atol=1e-6,
    )
