import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle import losses, quantizers

LATENTS = np.random.default_rng(0).normal(size=(4, 4, 4, 6)).astype("float32")
MAKERS = {
    "vector": lambda: quantizers.VectorQuantizer(
        8, 6, kmeans_steps=3, revival_steps=2, seed=0
    ),
    "averaged": lambda: quantizers.EMAVectorQuantizer(8, 6, seed=0),
    "restarting": lambda: quantizers.RestartingVectorQuantizer(8, 6, seed=0),
    "gumbel": lambda: quantizers.GumbelQuantizer(8, 6, seed=0),
    "residual": lambda: quantizers.ResidualQuantizer(
        quantizers.EMAVectorQuantizer(8, 6, seed=0), code_depth=2
    ),
    "levels": lambda: quantizers.MultiLevelQuantizer(
        quantizers.EMAVectorQuantizer(8, 6, seed=0), grids=[(4, 4)]
    ),
}


def state(layer):
    return [ops.convert_to_numpy(w) for w in layer.non_trainable_weights]


def with_one(value):
    latents = LATENTS.copy()
    latents[0, 1, 2, 3] = value
    return latents


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", MAKERS)
def test_a_batch_that_is_not_finite_moves_no_state(kind, value):
    quantizer = MAKERS[kind]()
    as_input = (lambda z: (z,)) if kind == "levels" else (lambda z: z)
    quantizer(as_input(LATENTS), training=True)
    before = state(quantizer)

    quantizer(as_input(with_one(value)), training=True)

    for old, new in zip(before, state(quantizer), strict=True):
        np.testing.assert_array_equal(new, old)
    quantizer(as_input(0.5 * LATENTS), training=True)
    after = state(quantizer)
    assert all(np.isfinite(array).all() for array in after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_pictures_that_are_not_finite_move_no_moments_of_a_discriminator():
    adversarial = losses.AdversarialLoss(losses.PatchDiscriminator(1, 4))
    images = LATENTS.reshape(2, 8, 8, 3)
    adversarial.build(images.shape)
    before = state(adversarial)

    def call(real):
        adversarial(
            ops.convert_to_tensor(real),
            ops.convert_to_tensor(images),
            reconstruction_loss=lambda fake: ops.mean(ops.square(fake)),
            training=True,
        )

    call(with_one(np.nan).reshape(images.shape))
    for old, new in zip(before, state(adversarial), strict=True):
        np.testing.assert_array_equal(new, old)
    call(images)
    assert int(adversarial.step) == 1


def kept(model):
    # `train_on_batch` sets the counts of an epoch to zero.
    return [w for w in model.weights if w.name != "epoch_counts"]


def test_a_step_that_half_precision_skips_leaves_the_model_as_it_was():
    from small_tokenizers import as_float, patch_vqgan, uint8_images

    codebook = quantizers.EMAVectorQuantizer(8, 6, kmeans_steps=0, seed=0)
    model = patch_vqgan(quantizer=codebook, dtype="mixed_float16")
    model.compile(keras.optimizers.SGD(1e-3))
    images = as_float(uint8_images(4))
    model.train_on_batch(images)
    weights = [ops.convert_to_numpy(w) for w in kept(model)]
    images[0, 0, 0, 0] = np.nan
    model.train_on_batch(images)
    again = [ops.convert_to_numpy(w) for w in kept(model)]
    for old, new in zip(weights, again, strict=True):
        np.testing.assert_array_equal(new, old)


def test_no_replica_moves_where_one_may_not(two_devices):
    two_devices("""
from keras_bidalle import quantizers
strategy = tf.distribute.MirroredStrategy(devices)
z = np.random.default_rng(0).normal(size=(8, 4, 6)).astype("float32")
with strategy.scope():
    layers = [quantizers.EMAVectorQuantizer(8, 6, seed=0),
              quantizers.VectorQuantizer(8, 6, revival_steps=1, seed=0)]
    for layer in layers:
        layer.build((None, 6))
def run(layer, z):
    def program():
        here = tf.distribute.get_replica_context().replica_id_in_sync_group
        layer(tf.gather(z.reshape(2, 4, 4, 6), here), training=True)
    strategy.run(tf.function(program))
for layer in layers:
    run(layer, z)
    before = [w.numpy() for w in layer.non_trainable_weights]
    bad = z.copy()
    bad[7, 0, 0] = np.nan
    run(layer, bad)
    for old, w in zip(before, layer.non_trainable_weights):
        np.testing.assert_array_equal(w.numpy(), old)
    run(layer, z)
    assert float(layer.epoch_counts.numpy().sum()) == 2 * 32
""")
