import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.losses import (
    AdversarialLoss,
    HingeLoss,
    PatchDiscriminator,
    VanillaLoss,
    adaptive_weight,
    value_and_gradient,
)

SHAPE = (16, 16, 3)


def softplus(x):
    return np.log1p(np.exp(x))


def number(x):
    return float(ops.convert_to_numpy(x))


def make(**kwargs):
    adversarial = AdversarialLoss(PatchDiscriminator(1, 4), **kwargs)
    adversarial.build((None, *SHAPE))
    # Logits large enough that neither side of the hinge is trivial.
    for variable in adversarial.discriminator.trainable_variables:
        variable.assign(variable * 5.0)
    return adversarial


def pictures(seed=0):
    rng = np.random.default_rng(seed)
    return ops.convert_to_tensor(rng.uniform(-1, 1, (2, *SHAPE)), "float32")


def terms(adversarial, training=True, **kwargs):
    real, fake = pictures(0), pictures(1)
    return adversarial(
        real,
        fake,
        reconstruction_loss=lambda fake: ops.mean(ops.abs(real - fake)),
        training=training,
        **kwargs,
    )


def test_losses_are_those_of_the_papers():
    real, fake = np.array([0.5, -2.0, 3.0]), np.array([-0.5, 2.0, -3.0])
    hinge = np.mean(np.maximum(1 - real, 0) + np.maximum(1 + fake, 0)) / 2
    vanilla = np.mean(softplus(-real) + softplus(fake)) / 2
    for loss, expected in ((HingeLoss(), hinge), (VanillaLoss(), vanilla)):
        np.testing.assert_allclose(
            number(loss.discriminator(real, fake)), expected, rtol=1e-6
        )
        np.testing.assert_allclose(
            number(loss.generator(fake)), -fake.mean(), rtol=1e-6
        )


def test_adaptive_weight_is_the_ratio_of_norms():
    a, b = np.full((2, 2), 3.0), np.full((2, 2), 1.0)
    np.testing.assert_allclose(
        number(adaptive_weight(a, b)), 6 / 2.0001, rtol=1e-6
    )
    assert number(adaptive_weight(a * 1e6, b * 0.0)) == 1e4


def test_weight_balances_both_gradients_at_the_last_kernel():
    adversarial = make(weight=0.8)
    real = pictures(0)
    rng = np.random.default_rng(2)
    features = rng.normal(size=(2, 16, 16, 5)).astype("float32")
    kernel = (0.2 * rng.normal(size=(5, 3))).astype("float32")

    def head(kernel):
        return ops.tanh(ops.matmul(features, kernel))

    def reconstruction_loss(fake):
        return ops.mean(ops.square(real - fake))

    found = adversarial(
        real,
        head(kernel),
        reconstruction_loss=reconstruction_loss,
        head=head,
        kernel=kernel,
        training=False,
    )
    norms = [
        np.linalg.norm(ops.convert_to_numpy(value_and_gradient(f, kernel)[1]))
        for f in (
            lambda kernel: reconstruction_loss(head(kernel)),
            lambda kernel: adversarial.generator_loss(head(kernel)),
        )
    ]
    weight = 0.8 * norms[0] / (norms[1] + 1e-4)
    np.testing.assert_allclose(number(found.adaptive_weight), weight, rtol=1e-4)
    np.testing.assert_allclose(
        number(found.generator),
        weight * number(adversarial.generator_loss(head(kernel))),
        rtol=1e-4,
    )


def test_the_weight_is_that_of_float32_where_the_last_layer_is_float16():
    # Slopes as small as those of l2 on large pictures.
    adversarial, real = make(), pictures(0)
    rng = np.random.default_rng(2)
    features = rng.normal(size=(2, 16, 16, 5)).astype("float32")
    kernel = (0.2 * rng.normal(size=(5, 3))).astype("float32")
    weights = []
    for dtype in ("float32", "float16"):

        def head(kernel, dtype=dtype):
            product = ops.matmul(
                ops.cast(features, dtype), ops.cast(kernel, dtype)
            )
            return ops.cast(product, "float32")

        found = adversarial(
            real,
            pictures(1),
            reconstruction_loss=lambda fake: (
                1e-6 * ops.mean(ops.square(real - fake))
            ),
            head=head,
            kernel=kernel,
            training=False,
        )
        weights.append(number(found.adaptive_weight))
    np.testing.assert_allclose(weights[1], weights[0], rtol=0.01)


def test_without_a_head_the_weight_is_fixed():
    assert number(terms(make(weight=0.5)).adaptive_weight) == 0.5


def test_generator_term_keeps_no_statistics_of_its_pass():
    adversarial = make()
    norm = adversarial.discriminator.norms[0]
    before = np.array(norm.moving_variance)
    in_training = adversarial.generator_loss(pictures(), training=True)
    np.testing.assert_array_equal(norm.moving_variance, before)
    assert number(in_training) != number(
        adversarial.generator_loss(pictures(), training=False)
    )


def test_start_step_holds_the_generator_back():
    adversarial = make(start_step=2, discriminator_start_step=1)
    seen = [terms(adversarial) for _ in range(3)]
    assert [number(t.generator) != 0 for t in seen] == [False, False, True]
    assert [number(t.discriminator) != 0 for t in seen] == [False, True, True]
    assert number(adversarial.step.value) == 3


def test_discriminator_starts_with_the_generator_by_default():
    adversarial = make(start_step=1)
    seen = [terms(adversarial) for _ in range(2)]
    assert [number(t.discriminator) != 0 for t in seen] == [False, True]


def test_ramp_brings_the_generator_in_linearly():
    adversarial = make(ramp_steps=4, start_step=1)
    adversarial.discriminator.trainable = False
    shares = []
    for _ in range(7):
        term = terms(adversarial).generator
        full = adversarial.weight * number(
            adversarial.generator_loss(pictures(1), training=True)
        )
        shares.append(number(term) / full)
    np.testing.assert_allclose(shares, [0, 0.25, 0.5, 0.75, 1, 1, 1], atol=1e-4)


def test_evaluation_counts_no_steps():
    adversarial = make()
    terms(adversarial, training=False)
    assert number(adversarial.step.value) == 0


class Autoencoder(keras.Model):
    """The smallest model that trains as an image tokenizer does."""

    def __init__(self, adversarial):
        super().__init__()
        self.body = keras.layers.Conv2D(4, 3, padding="same")
        self.last = keras.layers.Conv2D(3, 3, padding="same")
        self.adversarial = adversarial
        adversarial.build((None, *SHAPE))

    def call(self, images):
        self.features = ops.tanh(self.body(images))
        return self.last(self.features)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        features = ops.stop_gradient(ops.tanh(self.body(x)))
        found = self.adversarial(
            x,
            y_pred,
            reconstruction_loss=lambda fake: ops.mean(ops.abs(x - fake)),
            head=lambda k: (
                ops.conv(features, k, padding="same")
                + ops.stop_gradient(self.last.bias.value)
            ),
            kernel=self.last.kernel.value,
            training=training,
        )
        return found.reconstruction + found.generator + found.discriminator


def test_plain_fit_trains_both_players():
    adversarial = make()
    model = Autoencoder(adversarial)
    x = pictures()
    model(x)
    models = keras.optimizers
    model.compile(
        optimizer=models.MultiOptimizer(
            models.OptimizerMap(
                models.Adam(1e-2, beta_1=0.5),
                {".*discriminator.*": models.Adam(1e-2, beta_1=0.5)},
            )
        )
        if hasattr(models, "MultiOptimizer")
        else models.Adam(1e-2)
    )
    before = [np.array(v) for v in model.trainable_variables]
    history = model.fit(x, batch_size=2, epochs=3, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    for old, new in zip(before, model.trainable_variables, strict=True):
        assert np.any(old != np.array(new)), new.path
    assert number(adversarial.step.value) == 3
    norm = adversarial.discriminator.norms[0]
    assert np.any(np.array(norm.moving_mean) != 0)
    assert np.isfinite(model.evaluate(x, verbose=0))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_each_player_reads_the_other_as_a_constant(player):
    class OneTerm(Autoencoder):
        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            found = self.adversarial(
                x, y_pred, reconstruction_loss=ops.mean, training=True
            )
            return getattr(found, player)

    model = OneTerm(make())
    x = pictures()
    model(x)
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    before = {v.path: np.array(v) for v in model.trainable_variables}
    model.fit(x, batch_size=2, verbose=0)
    changed = {
        v.path
        for v in model.trainable_variables
        if np.any(before[v.path] != np.array(v))
    }
    judges = {v.path for v in model.adversarial.trainable_variables}
    assert changed
    if player == "generator":
        assert not changed & judges
    else:
        assert changed <= judges


def test_terms_are_float32_under_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = terms(make())
    finally:
        keras.config.set_dtype_policy(policy)
    for term in found:
        assert keras.backend.standardize_dtype(term.dtype) == "float32"
        assert np.isfinite(number(term))


def test_config_round_trip():
    for loss in ("vanilla", HingeLoss()):
        adversarial = AdversarialLoss(
            PatchDiscriminator(1, 4),
            loss=loss,
            weight=0.75,
            start_step=7,
            discriminator_start_step=3,
            ramp_steps=2,
        )
        again = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(adversarial)
        )
        assert again.get_config() == adversarial.get_config()
        assert again.discriminator.filters == 4


def test_wrong_arguments_are_told_by_name():
    with pytest.raises(ValueError, match="`loss`.*'lsgan'"):
        AdversarialLoss(loss="lsgan")
    with pytest.raises(ValueError, match="`start_step`.*-1"):
        AdversarialLoss(start_step=-1)


@pytest.mark.parametrize(
    "argument",
    [
        {"loss": None},
        {"loss": 5},
        {"discriminator": "x"},
        {"start_step": 1.5},
        {"start_step": True},
        {"discriminator_start_step": "a"},
        {"discriminator_start_step": False},
        {"ramp_steps": 0.5},
        {"weight": float("inf")},
    ],
)
def test_what_is_no_argument_is_told(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received"):
        AdversarialLoss(**argument)
