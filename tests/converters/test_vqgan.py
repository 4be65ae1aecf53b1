import keras
import numpy as np
import pytest
from keras import ops
from published import discriminator, small_config, state_dict

from keras_bidalle.converters import (
    convert_adversarial_loss,
    convert_te_vqgan,
    convert_vqgan,
)
from keras_bidalle.quantizers import (
    GumbelQuantizer,
    OrthogonalVectorQuantizer,
    VectorQuantizer,
)


@pytest.mark.parametrize(
    "options",
    [
        {"ch_mult": [1, 2, 2], "attn_resolutions": [8, 4]},
        {"num_res_blocks": 2, "attn_resolutions": [16, 8]},
        {"ch": 64, "ch_mult": [1], "resolution": 8},
        {"in_channels": 1, "out_ch": 1, "z_channels": 3},
        {"downsampling_method": "maxpool"},
        {"downsampling_method": "maxblurpool", "use_replicationpad": False},
        {"downsampling_method": "convblurpool"},
        {"use_replicationpad": False, "version": "v1"},
    ],
)
def test_every_key_finds_its_place_whatever_the_shape(options):
    config = small_config(**options)
    arrays = state_dict(config)
    model = convert_te_vqgan(arrays, config)
    given = sum(
        array.size
        for name, array in arrays.items()
        if not name.endswith(".filt")
    )
    assert given == sum(
        int(np.prod(variable.shape)) for variable in model.trainable_variables
    )
    side = config["ddconfig"]["resolution"]
    grid = side // 2 ** (len(config["ddconfig"]["ch_mult"]) - 1)
    assert model.code_shape == (grid, grid)
    images = np.zeros((1, *model.image_shape), "float32")
    assert model(images).shape == images.shape


@pytest.mark.parametrize(
    "method, replicate, version, expected",
    [
        ("strided_conv", True, "v1", "zero"),
        ("convblurpool", True, "v1", "zero"),
        ("convblurpool", False, "v2", "replication"),
        ("strided_conv", True, "v2", "replication"),
        ("strided_conv", False, "v2", "zero"),
    ],
)
def test_encoder_versions_pad_their_way_down_as_published(
    method, replicate, version, expected
):
    config = small_config(
        downsampling_method=method,
        use_replicationpad=replicate,
        version=version,
    )
    model = convert_te_vqgan(state_dict(config), config)
    encoder = model.encoder
    assert encoder.down[0].resample.conv.padding_mode == expected
    assert encoder.conv_in.padding_mode == (
        "replication" if replicate else "zero"
    )


def test_options_of_te_vqgan_reach_the_quantizer():
    config = small_config() | {
        "distance_measure": "cos_sim",
        "force_emb_len_1": True,
        "ortho_reg_coef": 3.0,
        "beta": 0.5,
    }
    quantizer = convert_te_vqgan(state_dict(config), config).quantizer
    assert isinstance(quantizer, OrthogonalVectorQuantizer)
    assert quantizer.get_config()["orthogonality"] == 3.0
    assert quantizer.unit_length and quantizer.commitment_weight == 0.5
    assert "Cosine" in type(quantizer.distance).__name__


def test_no_orthogonality_adds_no_loss():
    config = small_config() | {"ortho_reg_coef": 0.0}
    quantizer = convert_te_vqgan(state_dict(config), config).quantizer
    quantizer(np.ones((1, 2, 2, 4), "float32"))
    assert len(quantizer.losses) == 1


def vqgan_config(**options):
    config = small_config(use_replicationpad=False, version="v1")
    for name in ("ortho_reg_coef", "distance_measure"):
        del config[name]
    return config | options


@pytest.mark.parametrize(
    "options, legacy",
    [
        ({}, True),
        ({"kind": "vq_legacy"}, True),
        ({"kind": "vq"}, False),
        ({"legacy": False}, False),
    ],
)
def test_vqgan_weighs_the_codebook_by_beta_unless_told_otherwise(
    options, legacy
):
    config = vqgan_config(**options)
    quantizer = convert_vqgan(state_dict(config), config).quantizer
    assert type(quantizer) is VectorQuantizer
    weights = quantizer.commitment_weight, quantizer.codebook_weight
    assert weights == ((1.0, 0.25) if legacy else (0.25, 1.0))


@pytest.mark.parametrize(
    "options", [{"kind": "gumbel"}, {"target": "taming.models.vqgan.GumbelVQ"}]
)
def test_gumbel_vqgan(options):
    config = vqgan_config(**options)
    arrays = state_dict(config | {"kind": "gumbel"})
    model = convert_vqgan(arrays, config)
    assert isinstance(model.quantizer, GumbelQuantizer)
    latent = np.random.default_rng(0).normal(size=(1, 2, 2, 5))
    expected = np.einsum(
        "bhwc,kc->bhwk", latent, arrays["quantize.proj.weight"][:, :, 0, 0]
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(model.quantizer.logits(latent.astype("float32"))),
        expected + arrays["quantize.proj.bias"],
        rtol=1e-4,
        atol=1e-5,
    )


def test_what_only_training_needs_is_left_out():
    config = small_config()
    arrays = state_dict(config) | discriminator(2, 4)
    arrays["loss.perceptual_loss.net.slice1.0.weight"] = np.zeros(3)
    convert_te_vqgan(arrays, config)


def test_a_missing_key_is_named():
    config = small_config()
    arrays = state_dict(config)
    del arrays["decoder.mid.attn_1.k.bias"]
    with pytest.raises(ValueError, match="has no.*decoder.mid.attn_1.k.bias"):
        convert_te_vqgan(arrays, config)


def test_a_key_left_over_is_named():
    config = small_config()
    arrays = state_dict(config) | {"encoder.extra": np.zeros(3)}
    with pytest.raises(ValueError, match="no place for.*encoder.extra"):
        convert_te_vqgan(arrays, config)


def test_a_key_of_another_shape_is_named():
    config = small_config()
    arrays = state_dict(config)
    arrays["quantize.embedding.weight"] = np.zeros((7, 4), "float32")
    with pytest.raises(
        ValueError, match=r"quantize.embedding.weight.*\(6, 4\).*\(7, 4\)"
    ):
        convert_te_vqgan(arrays, config)


def test_a_blur_of_another_program_is_refused():
    config = small_config(downsampling_method="maxblurpool")
    arrays = state_dict(config)
    arrays["encoder.down.0.downsample.module.1.filt"][:] = 1 / 25
    with pytest.raises(ValueError, match="module.1.filt"):
        convert_te_vqgan(arrays, config)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"downsampling_method": "avgpool"}, "downsampling_method.*avgpool"),
        ({"version": "v3"}, "version.*v3"),
        ({"out_ch": 4}, "out_ch.*4"),
        ({"resamp_with_conv": False}, "resamp_with_conv.*False"),
    ],
)
def test_unknown_options_of_the_encoder_are_named(options, match):
    config = small_config()
    arrays = state_dict(config)
    config["ddconfig"].update(options)
    with pytest.raises(ValueError, match=match):
        convert_te_vqgan(arrays, config)


@pytest.mark.parametrize("name", ["n_embed", "embed_dim", "ddconfig"])
def test_a_missing_option_is_named(name):
    config = small_config()
    arrays = state_dict(config)
    del config[name]
    with pytest.raises(ValueError, match=f"has no `{name}`"):
        convert_te_vqgan(arrays, config)


def test_unknown_distances_and_remapped_codes_are_named():
    config = small_config()
    with pytest.raises(ValueError, match="distance_measure.*L7"):
        convert_te_vqgan({}, config | {"distance_measure": "L7"})
    with pytest.raises(ValueError, match="remap.*used.npy"):
        convert_vqgan({}, vqgan_config(remap="used.npy"))


@pytest.mark.parametrize("num_layers", [1, 3, 4])
def test_discriminators_of_any_depth(num_layers):
    config = small_config() | {
        "lossconfig": {
            "params": {
                "disc_num_layers": num_layers,
                "disc_ndf": 2,
                "disc_weight": 0.75,
                "disc_start": 30001,
                "disc_loss": "vanilla",
            }
        }
    }
    adversarial = convert_adversarial_loss(discriminator(num_layers, 2), config)
    assert adversarial.weight == 0.75
    assert adversarial.start_step == 30001
    assert adversarial.loss == "vanilla"
    images = np.zeros((1, 64, 64, 3), "float32")
    assert adversarial.discriminator(images).shape[-1] == 1


def test_a_discriminator_that_does_not_fit_is_told():
    config = small_config() | {"disc": {"num_layers": 3, "ndf": 2}}
    with pytest.raises(ValueError, match="'5.weight'.*of a discriminator"):
        convert_adversarial_loss(discriminator(1, 2), config)
    config["disc"]["use_actnorm"] = True
    with pytest.raises(ValueError, match="use_actnorm"):
        convert_adversarial_loss(discriminator(3, 2), config)


def test_conversion_keeps_the_users_dtype_policy_out_of_the_codebook():
    config = small_config()
    arrays = state_dict(config)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        quantizer = convert_te_vqgan(arrays, config).quantizer
    finally:
        keras.config.set_dtype_policy(policy)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(quantizer.codebook),
        arrays["quantize.embedding.weight"],
    )
