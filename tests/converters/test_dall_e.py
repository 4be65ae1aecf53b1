"""DALL-E's published discrete VAE and its conversion."""

import json
import shutil

import numpy as np
import published_dall_e
import pytest
from keras import ops

from keras_bidalle import converters
from keras_bidalle.image_tokenizers import DiscreteVAE

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def to_numpy(x):
    return np.asarray(ops.convert_to_numpy(x))


@pytest.fixture(scope="module")
def folder(reference_dir):
    return reference_dir / "dall_e/dvae"


@pytest.fixture(scope="module")
def io(folder):
    with np.load(folder / "io.npz") as file:
        arrays = {name: file[name] for name in file}
    return {
        name: array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
        for name, array in arrays.items()
    }


@pytest.fixture(scope="module")
def model(folder):
    return converters.convert(folder)


def images_of(io):
    """The program's images lie in [0, 1]."""
    return 2.0 * io["image"] - 1.0


def test_it_gives_the_published_programs_numbers(model, io):
    images = images_of(io)
    latents = model.to_latents(images)
    found = {
        "logits": model.quantizer.logits(latents),
        "decoder_stats": model.statistics(images),
        "reconstruction": (to_numpy(model(images)) + 1) / 2,
    }
    for name, value in found.items():
        np.testing.assert_allclose(
            to_numpy(value), io[name], **TOLERANCE, err_msg=name
        )
    np.testing.assert_array_equal(
        to_numpy(model.quantizer.encode(latents)), io["indices"]
    )


def test_so_do_the_public_calls(model, io):
    images = images_of(io)
    np.testing.assert_array_equal(model.encode(images), io["indices"])
    for pictures in (model.reconstruct(images), model.decode(io["indices"])):
        np.testing.assert_allclose(
            (pictures + 1) / 2, io["reconstruction"], **TOLERANCE
        )


def test_all_sizes_are_read_from_the_weights(folder, model):
    with open(folder / "config.json") as file:
        config = json.load(file)
    half = config["encoder"]
    assert model.channels == half["n_hid"]
    assert model.num_res_blocks == half["n_blk_per_group"]
    assert model.channel_multipliers == tuple(
        2**i for i in range(half["group_count"])
    )
    assert model.num_codes == half["vocab_size"]
    assert model.quant_conv is None
    assert model.quantizer.code_dim == config["decoder"]["n_init"]
    assert model.image_shape == (256, 256, 3)


@pytest.mark.parametrize("is_legacy", [False, True])
def test_other_shapes_without_a_configuration(tmp_path, is_legacy):
    sizes = {**published_dall_e.SIZES, "input_channels": 1}
    encoder, decoder = published_dall_e.write_folder(tmp_path, sizes, is_legacy)
    model = converters.convert(tmp_path)
    assert isinstance(model, DiscreteVAE)
    assert model.image_shape == (256, 256, 1)
    assert model.decoder.channels == 4 and model.decoder.num_res_blocks == 1
    assert model.encoder.factor == 4
    # Each weight has its place: look at the ends and one block.
    for layer, arrays, name in (
        (model.encoder.conv_in, encoder, "blocks.input"),
        (model.decoder.conv_out, decoder, "blocks.output.conv"),
        (
            model.encoder.bottlenecks[3].convolutions[2],
            encoder,
            "blocks.group_2.block_2.res_path.conv_3",
        ),
        (
            model.decoder.bottlenecks[1].shortcut,
            decoder,
            "blocks.group_2.block_1.id_path",
        ),
    ):
        np.testing.assert_array_equal(
            to_numpy(layer.kernel), arrays[f"{name}.w"].transpose(2, 3, 1, 0)
        )
        np.testing.assert_array_equal(to_numpy(layer.bias), arrays[f"{name}.b"])
    # The decoder's first convolution of a one-hot code.
    kernel, bias = decoder["blocks.input.w"], decoder["blocks.input.b"]
    np.testing.assert_allclose(
        to_numpy(model.quantizer.decode(np.array([7]))),
        [kernel[:, 7, 0, 0] + bias],
        rtol=1e-6,
    )


def test_one_of_the_files_stands_for_its_folder(tmp_path):
    published_dall_e.write_folder(tmp_path)
    (tmp_path / "other.json").write_text(json.dumps({"logit_laplace_eps": 0.2}))
    model = converters.convert(
        tmp_path / "encoder.pkl", tmp_path / "other.json"
    )
    assert model.epsilon == 0.2
    (tmp_path / "decoder.pkl").unlink()
    with pytest.raises(FileNotFoundError, match="decoder.pkl"):
        converters.convert(tmp_path)


def test_a_configuration_of_other_weights_is_told(tmp_path):
    published_dall_e.write_folder(tmp_path)
    config = {"encoder": {"n_hid": 8}, "decoder": {"n_init": 7}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="`decoder.n_init`.*6.*Received: 7"):
        converters.convert(tmp_path)


def test_mislabelled_files_are_told(tmp_path):
    published_dall_e.write_folder(tmp_path)
    shutil.copy(tmp_path / "encoder.pkl", tmp_path / "decoder.pkl")
    with pytest.raises(ValueError, match="`Decoder` was expected.*Encoder"):
        converters.convert(tmp_path)


def test_halves_of_different_models_are_told(tmp_path):
    published_dall_e.write_folder(tmp_path)
    sizes = {**published_dall_e.SIZES, "vocab_size": 11}
    published_dall_e.write(
        tmp_path / "decoder.pkl", published_dall_e.decoder, sizes=sizes
    )
    with pytest.raises(ValueError, match="vocab_size=10 and vocab_size=11"):
        converters.convert(tmp_path)


def test_another_gain_or_a_lost_group_is_told(tmp_path):
    published_dall_e.write_folder(tmp_path)
    path = tmp_path / "encoder.pkl"
    published_dall_e.write(path, published_dall_e.encoder, gain=0.5)
    with pytest.raises(ValueError, match="1 / num_layers.*post_gain=0.5"):
        converters.convert(tmp_path)

    def without_a_group(pickled):
        module = published_dall_e.encoder(pickled)
        blocks = module.states[0]["_modules"]["blocks"]
        del blocks.states[0]["_modules"]["group_2"]
        return module

    published_dall_e.write(path, without_a_group)
    with pytest.raises(ValueError, match="modules `group_1`, `group_2`"):
        converters.convert(tmp_path)
