"""What the tests of quantizers share: golden cases, gradients, a model."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle import converters


@pytest.fixture
def golden(golden_dir):
    """Gives the arrays, the weights and the config of a golden case."""

    def read(case):
        folder = golden_dir / case
        (checkpoint,) = [*folder.glob("*.ckpt"), *folder.glob("*.pt")]
        return SimpleNamespace(
            arrays=dict(np.load(folder / "io.npz")),
            weights=converters.read_state_dict(checkpoint),
            config=json.loads((folder / "config.json").read_text()),
        )

    return read


def loss_gradients(layer, z, of=lambda output, losses: sum(losses)):
    """Gradients of a scalar w.r.t. `z` and the layer's trainable weights."""
    z = ops.convert_to_tensor(np.asarray(z, "float32"))
    layer.ensure_built()
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        state = [v.value for v in layer.non_trainable_variables]

        def scalar(trained, z):
            output, _, losses = layer.stateless_call(
                trained, state, z, return_losses=True
            )
            return of(output, losses)

        trained = [v.value for v in layer.trainable_variables]
        grad_weights, grad_z = jax.grad(scalar, argnums=(0, 1))(trained, z)
    elif backend == "torch":
        import torch

        z.requires_grad_()
        scalar = of(layer(z), layer.losses)
        sources = [z] + [v.value for v in layer.trainable_variables]
        grad_z, *grad_weights = torch.autograd.grad(
            scalar, sources, allow_unused=True
        )
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(z)
            scalar = of(layer(z), layer.losses)
        sources = [z] + [v.value for v in layer.trainable_variables]
        grad_z, *grad_weights = tape.gradient(scalar, sources)
    as_numpy = [
        None if g is None else ops.convert_to_numpy(ops.convert_to_tensor(g))
        for g in [grad_z, *grad_weights]
    ]
    return as_numpy[0], as_numpy[1:]


@pytest.fixture
def gradients():
    return loss_gradients


@pytest.fixture
def autoencoder():
    """Builds a compiled dense autoencoder around a quantizer."""

    def build(quantizer, width=6, learning_rate=1e-3):
        images = keras.Input((4, 4, width))
        z = keras.layers.Dense(quantizer.input_dim)(images)
        outputs = keras.layers.Dense(width)(quantizer(z))
        model = keras.Model(images, outputs)
        model.compile(keras.optimizers.Adam(learning_rate), "mse")
        return model

    return build


@pytest.fixture
def clusters():
    """Images (256, 4, 4, 6) whose pixels stand in 24 tight clusters."""
    rng = np.random.default_rng(0)
    centers = 2.0 * rng.normal(size=(24, 6))
    which = rng.integers(24, size=(256, 4, 4))
    pixels = centers[which] + 0.05 * rng.normal(size=(256, 4, 4, 6))
    return pixels.astype("float32")
