"""float16 and gradient accumulation in a plain `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle import generators, image_tokenizers, quantizers

# Step by step, JAX compiles each operation: that takes longer than one whole.
ON_JAX = keras.config.backend() == "jax"


def tokenizer(dtype=None):
    return image_tokenizers.PatchVQGAN(
        quantizers.VectorQuantizer(num_codes=8, code_dim=4, seed=1),
        image_shape=(8, 8, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
        dtype=dtype,
    )


def generator(dtype=None):
    return generators.BidirectionalTransformer(
        text_vocabulary_size=8,
        text_length=3,
        num_codes=8,
        code_shape=(2, 2),
        width=8,
        depth=1,
        num_heads=2,
        gradient_checkpointing=True,
        dtype=dtype,
    )


def pictures(rows):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (rows, 8, 8, 3)).astype("float32")


def captioned(rows):
    rng = np.random.default_rng(0)
    return {
        "text": rng.integers(3, 8, (rows, 3)).astype("int32"),
        "codes": rng.integers(0, 8, (rows, 2, 2)).astype("int32"),
        "text_to_image": np.arange(rows) % 2 == 0,
    }


MODELS = {
    "tokenizer": (tokenizer, pictures),
    "generator": (generator, captioned),
}


@pytest.mark.parametrize("kind", MODELS)
def test_float16_trains_with_accumulation_and_scales_its_loss(kind):
    build, make_rows = MODELS[kind]
    model = build("mixed_float16")
    model.compile(
        keras.optimizers.Adam(
            0.01, global_clipnorm=1.0, gradient_accumulation_steps=2
        ),
        jit_compile=ON_JAX,
    )
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = [w.copy() for w in model.get_weights()]
    history = model.fit(
        make_rows(8), batch_size=2, epochs=6, shuffle=False, verbose=0
    ).history["loss"]
    assert np.isfinite(history).all() and history[-1] < history[0]
    assert all(
        np.isfinite(ops.convert_to_numpy(w)).all() for w in model.weights
    )
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    assert np.mean(moved) > 0.5


@pytest.mark.parametrize("kind", MODELS)
def test_two_halves_accumulated_are_one_whole_batch(kind):
    build, make_rows = MODELS[kind]
    weights = None
    for batch_size, steps in ((4, 1), (2, 2)):
        model = build()
        if weights is None:
            weights = model.get_weights()
        model.set_weights(weights)
        model.compile(
            keras.optimizers.SGD(
                0.1,
                global_clipnorm=0.5,
                gradient_accumulation_steps=steps if steps > 1 else None,
            ),
            jit_compile=ON_JAX,
        )
        model.fit(
            make_rows(8),
            batch_size=batch_size,
            shuffle=False,
            verbose=0,
        )
        if steps == 1:
            expected = model.trainable_variables
    for whole, halves in zip(expected, model.trainable_variables, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(whole),
            ops.convert_to_numpy(halves),
            rtol=1e-4,
            atol=1e-5,
        )
