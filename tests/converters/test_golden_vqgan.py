"""Published programs and their conversions give the same numbers.

Each golden case is a checkpoint with what the program computed from it. The
cases are found by listing, so that more of them only need to lie there.
"""

import functools

import keras
import numpy as np
import pytest
from golden import VQGAN_CASES, channels_last
from keras import ops

from keras_bidalle import converters
from keras_bidalle.losses import value_and_gradient
from keras_bidalle.quantizers.quantizer import Quantizer

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


class Case:
    """A converted model beside the numbers of the published program."""

    def __init__(self, folder):
        config = converters.read_config(folder / "config.json")
        self.state_dict = converters.read_state_dict(folder / "last.ckpt")
        self.config = config
        self.model = converters.convert(folder / "last.ckpt")
        with np.load(folder / "io.npz") as file:
            self.io = {name: channels_last(file[name]) for name in file}
        self.images = ops.convert_to_tensor(self.io["image"])

    @functools.cached_property
    def latent(self):
        latent = self.model.to_latents(self.images, training=False)
        return _numpy(latent)

    @functools.cached_property
    def losses(self):
        """What the quantizer adds, in its order."""
        self.model.quantizer(self.io["latent"])
        return [_numpy(loss) for loss in self.model.quantizer.losses]


def _numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


@pytest.fixture(scope="module")
def cases(reference_dir):
    return functools.cache(lambda name: Case(reference_dir / name))


@pytest.fixture(params=VQGAN_CASES)
def case(request, cases):
    return cases(request.param)


@pytest.fixture(params=[c for c in VQGAN_CASES if c.startswith("te_vqgan")])
def te_case(request, cases):
    return cases(request.param)


def test_latent(case):
    np.testing.assert_allclose(case.latent, case.io["latent"], **TOLERANCE)


def test_indices(case):
    np.testing.assert_array_equal(
        _numpy(case.model.quantizer.encode(case.latent)), case.io["indices"]
    )


def test_indices_through_the_public_call(case):
    images = np.clip(case.io["image"], -1, 1)
    if np.array_equal(images, case.io["image"]):
        np.testing.assert_array_equal(
            case.model.encode(images), case.io["indices"]
        )


def test_quantized(case):
    quantized = case.model.quantizer(case.latent)
    np.testing.assert_allclose(
        _numpy(quantized), case.io["quantized"], **TOLERANCE
    )
    np.testing.assert_allclose(
        _numpy(case.model.quantizer.decode(case.io["indices"])),
        case.io["quantized"],
        **TOLERANCE,
    )


def test_reconstruction(case):
    expected = case.io["reconstruction"]
    reconstruction = case.model(case.images, training=False)
    np.testing.assert_allclose(_numpy(reconstruction), expected, **TOLERANCE)
    decoded = case.model.decode(case.io["indices"])
    np.testing.assert_allclose(decoded, np.clip(expected, -1, 1), **TOLERANCE)


def test_quantizer_losses(case):
    names = ["vq_loss", "ortho_loss", "kl_loss"]
    expected = [case.io[name] for name in names if name in case.io]
    np.testing.assert_allclose(case.losses, expected, **TOLERANCE)


def test_gumbel_logits(cases):
    case = cases("taming/gumbel")
    np.testing.assert_allclose(
        _numpy(case.model.quantizer.logits(case.latent)),
        case.io["logits"],
        **TOLERANCE,
    )


def test_perplexity(te_case):
    counts = np.bincount(te_case.io["indices"].ravel(), minlength=16)
    quantizer = te_case.model.quantizer
    for metric in quantizer.metrics:
        metric.reset_state()
    quantizer(te_case.latent, training=False)
    found = {m.name: float(_numpy(m.result())) for m in quantizer.metrics}
    np.testing.assert_allclose(
        found["perplexity"], te_case.io["perplexity"], **TOLERANCE
    )
    np.testing.assert_allclose(
        found["codebook_usage"], np.mean(counts > 0), **TOLERANCE
    )


def test_gradients_with_respect_to_the_latent(te_case):
    quantizer = te_case.model.quantizer

    def vq_loss(z):
        quantizer(z)
        return quantizer.losses[0]

    _, gradient = value_and_gradient(vq_loss, te_case.io["latent"])
    np.testing.assert_allclose(
        _numpy(gradient), te_case.io["grad_vq_latent"], **TOLERANCE
    )


@pytest.mark.parametrize(
    "index, name", [(0, "grad_vq_codebook"), (1, "grad_ortho_codebook")]
)
def test_gradients_with_respect_to_the_codebook(te_case, index, name):
    quantizer = te_case.model.quantizer
    latent = ops.convert_to_tensor(te_case.io["latent"])

    def loss(codebook):
        mapping = [(quantizer.embedding, codebook)]
        with keras.StatelessScope(state_mapping=mapping):
            z = ops.reshape(latent, (-1, latent.shape[-1]))
            if index == 1:
                return quantizer.regularization_loss()
            codes, _ = quantizer.nearest(z)
            return quantizer.quantization_loss(z, quantizer.lookup(codes))

    _, gradient = value_and_gradient(loss, quantizer.embedding.value)
    np.testing.assert_allclose(_numpy(gradient), te_case.io[name], **TOLERANCE)


def test_discriminator_logits(te_case):
    adversarial = converters.convert_adversarial_loss(
        te_case.state_dict, te_case.config
    )
    logits = adversarial.discriminator(te_case.images, training=False)
    np.testing.assert_allclose(
        _numpy(logits), te_case.io["disc_logits"], **TOLERANCE
    )


def test_adversarial_terms(te_case):
    model, real = te_case.model, te_case.images
    adversarial = converters.convert_adversarial_loss(
        te_case.state_dict, te_case.config
    )
    quantized = ops.convert_to_tensor(te_case.io["quantized"])
    features = model.decoder.features(model.from_quantized(quantized))
    last = model.decoder.conv_out

    def head(kernel):
        with keras.StatelessScope(state_mapping=[(last.kernel, kernel)]):
            return model.decoder.head(features)

    terms = adversarial(
        real,
        model.decoder.head(features),
        reconstruction_loss=lambda fake: ops.mean(ops.abs(real - fake)),
        head=head,
        kernel=last.kernel.value,
        training=False,
    )
    # The program's generator loss is all that its first optimizer sees.
    generator = terms.reconstruction + terms.generator
    for name, value in (
        ("adaptive_weight", terms.adaptive_weight),
        ("discriminator_loss", terms.discriminator),
        ("generator_loss", _numpy(generator) + np.sum(te_case.losses)),
    ):
        np.testing.assert_allclose(
            _numpy(value), te_case.io[name], **TOLERANCE, err_msg=name
        )


def test_loss_of_a_compiled_model(te_case):
    """`evaluate` sees both players' losses of the published program."""
    model = converters.convert_te_vqgan(te_case.state_dict, te_case.config)
    model.compile(
        "adam",
        adversarial=converters.convert_adversarial_loss(
            te_case.state_dict, te_case.config
        ),
    )
    logs = model.evaluate(
        te_case.io["image"], batch_size=2, verbose=0, return_dict=True
    )
    np.testing.assert_allclose(
        logs["loss"],
        te_case.io["generator_loss"] + te_case.io["discriminator_loss"],
        **TOLERANCE,
    )
    np.testing.assert_allclose(
        logs["adaptive_weight"], te_case.io["adaptive_weight"], **TOLERANCE
    )


def test_quantizers_are_those_of_the_contract(case):
    assert isinstance(case.model.quantizer, Quantizer)
    assert case.model.code_shape == case.io["indices"].shape[1:]
