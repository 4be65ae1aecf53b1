"""The published programs' numbers, from their weights and our layers."""

import numpy as np
import pytest
from keras import ops

from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    GumbelQuantizer,
    OrthogonalVectorQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
)

TE_VQGAN = [
    "convblur_cosine",
    "maxblur_unit",
    "maxpool_zero",
    "strided_replicate_l2",
]
DISTANCES = {"L2": "l2", "cos_sim": "cosine"}


def assert_close(actual, expected):
    actual = ops.convert_to_numpy(ops.convert_to_tensor(actual))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def channels_last(x):
    return np.moveaxis(x, 1, -1)


@pytest.fixture(params=TE_VQGAN)
def te_vqgan(request, golden):
    case = golden(f"te_vqgan/{request.param}")
    codebook = case.weights["quantize.embedding.weight"]
    quantizer = OrthogonalVectorQuantizer(
        *codebook.shape,
        orthogonality=case.config["ortho_reg_coef"],
        unit_length=case.config["force_emb_len_1"],
        commitment_weight=case.config["beta"],
        distance=DISTANCES[case.config["distance_measure"]],
    )
    quantizer.assign_codebook(codebook)
    return quantizer, case.arrays


def test_te_vqgan_codes_and_quantized_latents(te_vqgan):
    quantizer, arrays = te_vqgan
    latent = channels_last(arrays["latent"])
    codes = quantizer.encode(latent)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(codes), arrays["indices"]
    )
    quantized = channels_last(arrays["quantized"])
    assert_close(quantizer.decode(codes), quantized)
    assert_close(quantizer(latent), quantized)


def test_te_vqgan_losses_and_perplexity(te_vqgan):
    quantizer, arrays = te_vqgan
    quantizer(channels_last(arrays["latent"]), training=False)
    vq_loss, ortho_loss = quantizer.losses
    assert_close(vq_loss, arrays["vq_loss"])
    assert_close(ortho_loss, arrays["ortho_loss"])
    _, perplexity = quantizer.metrics
    assert_close(perplexity.result(), arrays["perplexity"])


def test_te_vqgan_gradients(te_vqgan, gradients):
    quantizer, arrays = te_vqgan
    latent = channels_last(arrays["latent"])
    grad_z, (grad_codebook,) = gradients(
        quantizer, latent, of=lambda output, losses: losses[0]
    )
    assert_close(grad_z, channels_last(arrays["grad_vq_latent"]))
    assert_close(grad_codebook, arrays["grad_vq_codebook"])
    _, (grad_codebook,) = gradients(
        quantizer, latent, of=lambda output, losses: losses[1]
    )
    assert_close(grad_codebook, arrays["grad_ortho_codebook"])


def test_taming_legacy_weighs_the_codebook_term(golden, gradients):
    case = golden("taming/vq_legacy")
    codebook = case.weights["quantize.embedding.weight"]
    quantizer = VectorQuantizer(
        *codebook.shape, commitment_weight=1.0, codebook_weight=0.25
    )
    quantizer.assign_codebook(codebook)
    latent = channels_last(case.arrays["latent"])
    output = quantizer(latent)
    assert_close(output, channels_last(case.arrays["quantized"]))
    assert_close(sum(quantizer.losses), case.arrays["vq_loss"])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(quantizer.encode(latent)), case.arrays["indices"]
    )
    # The commitment term has weight 1.
    grad_z, _ = gradients(quantizer, latent, of=lambda _, losses: losses[0])
    difference = latent - channels_last(case.arrays["quantized"])
    assert_close(grad_z, 2.0 * difference / difference.size)


def test_taming_gumbel_is_a_hard_argmax_in_inference(golden):
    case = golden("taming/gumbel")
    kernel = case.weights["quantize.proj.weight"]  # (K, input_dim, 1, 1)
    codebook = case.weights["quantize.embed.weight"]
    quantizer = GumbelQuantizer(
        *codebook.shape,
        input_dim=kernel.shape[1],
        kl_weight=case.config["kl_weight"],
    )
    quantizer.ensure_built()
    quantizer.projection.kernel.assign(kernel[:, :, 0, 0].T)
    quantizer.projection.bias.assign(case.weights["quantize.proj.bias"])
    quantizer.embedding.assign(codebook)
    latent = channels_last(case.arrays["latent"])
    assert_close(quantizer.logits(latent), channels_last(case.arrays["logits"]))
    assert_close(
        quantizer(latent, training=False),
        channels_last(case.arrays["quantized"]),
    )
    assert_close(sum(quantizer.losses), case.arrays["kl_loss"])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(quantizer.encode(latent)), case.arrays["indices"]
    )


@pytest.fixture(params=["shared", "per_depth"])
def rq_vae(request, golden):
    case = golden(f"rq_vae/{request.param}")
    settings = case.config["hparams"]
    depth = settings["code_shape"][-1]
    quantizer = ResidualQuantizer(
        EMAVectorQuantizer(
            settings["n_embed"],
            settings["embed_dim"],
            decay=settings["decay"],
            kmeans_steps=0,
        ),
        code_depth=depth,
        shared=settings["shared_codebook"],
        commitment_weight=1.0,
    )
    quantizer.ensure_built()
    for number, part in enumerate(quantizer.quantizers):
        name = f"quantizer.codebooks.{number}"
        # The published table has a row of padding at its end.
        part.embedding.assign(case.weights[f"{name}.weight"][:-1])
        part.cluster_size.assign(case.weights[f"{name}.cluster_size_ema"])
        part.embed_sum.assign(case.weights[f"{name}.embed_ema"])
    return quantizer, case.arrays


def test_rq_vae_codes_and_loss(rq_vae):
    quantizer, arrays = rq_vae
    codes = quantizer.encode(arrays["latent"])
    np.testing.assert_array_equal(ops.convert_to_numpy(codes), arrays["codes"])
    assert_close(quantizer.decode(codes), arrays["quantized"])
    assert_close(quantizer(arrays["latent"]), arrays["quantized"])
    assert_close(sum(quantizer.losses), arrays["commitment_loss"])


def test_rq_vae_statistics_after_a_training_pass(rq_vae):
    quantizer, arrays = rq_vae
    quantizer(arrays["latent"], training=True)
    for number, part in enumerate(quantizer.quantizers):
        name = f"after_{number}"
        assert_close(part.embedding, arrays[f"{name}_weight"][:-1])
        assert_close(part.cluster_size, arrays[f"{name}_cluster_size_ema"])
        assert_close(part.embed_sum, arrays[f"{name}_embed_ema"])
