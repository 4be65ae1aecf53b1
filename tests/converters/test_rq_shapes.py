"""Shapes that RQ-VAE's program takes beyond those that were published."""

import json
import tarfile

import numpy as np
import published
import pytest
from keras import ops
from published_rq import transformer_arrays as stage2_state_dict
from published_rq import transformer_config as stage2_config
from published_rq import vae_arrays as state_dict
from test_published_folders import write_checkpoint

import keras_bidalle
from keras_bidalle import converters
from keras_bidalle.generators.stochastic_codes import codebooks_of

CHANNELS = 4


def config(latent, code, sizes, **hparams):
    encoder = published.small_config()["ddconfig"]
    encoder = {k: encoder[k] for k in encoder if k in published_keys()}
    encoder.update(resolution=2 * max(latent), attn_resolutions=[latent[1]])
    return {
        "type": "rq-vae",
        "ddconfig": encoder,
        "hparams": {
            "bottleneck_type": "rq",
            "embed_dim": CHANNELS,
            "n_embed": sizes,
            "latent_shape": [*latent, CHANNELS],
            "code_shape": code,
            "shared_codebook": False,
            "restart_unused_codes": True,
            **hparams,
        },
    }


def published_keys():
    return {
        *("double_z", "z_channels", "resolution", "in_channels", "out_ch"),
        *("ch", "ch_mult", "num_res_blocks", "attn_resolutions", "dropout"),
    }


def books_of(arrays, depth):
    name = "quantizer.codebooks.{}.weight"
    return [arrays[name.format(i)][:-1] for i in range(depth)]


def quantized(latents, books, patch):
    """The program's codes and latents, one square of latents at a time."""
    batch, rows, columns, channels = latents.shape
    grid = rows // patch, columns // patch
    codes = np.zeros((batch, *grid, len(books)), "int32")
    result = np.zeros_like(latents)
    for b, i, j in np.ndindex(batch, *grid):
        place = np.s_[
            b, i * patch : (i + 1) * patch, j * patch : (j + 1) * patch
        ]
        left = latents[place].reshape(-1).astype("float64")
        for depth, book in enumerate(books):
            codes[b, i, j, depth] = ((left - book) ** 2).sum(-1).argmin()
            left = left - book[codes[b, i, j, depth]]
        result[place] = latents[place] - left.reshape(patch, patch, channels)
    return codes, result


@pytest.mark.parametrize(
    "latent, code, sizes, patch",
    [
        ((4, 4), [4, 4, 3], [7, 5, 3], 1),
        ((2, 4), [2, 4, 2], 6, 1),
        ((4, 2), [4, 2, 2], 6, 1),
        ((4, 4), [2, 2, 2], 6, 2),
        ((2, 4), [1, 2, 3], [3, 5, 7], 2),
    ],
)
def test_codes_and_latents_are_the_programs(latent, code, sizes, patch):
    told = config(latent, code, sizes)
    arrays = state_dict(told)
    model = converters.convert_rq_vae(arrays, told)
    assert model.code_shape == tuple(code)
    assert model.image_shape == (2 * latent[0], 2 * latent[1], 3)
    rng = np.random.default_rng(2)
    images = rng.uniform(-1, 1, (2, *model.image_shape)).astype("float32")
    latents = ops.convert_to_numpy(model.to_latents(images, training=False))
    codes, expected = quantized(latents, books_of(arrays, code[2]), patch)
    np.testing.assert_array_equal(model.encode(images), codes)
    quantizer = model.quantizer
    for found in (quantizer(latents), quantizer.decode(codes)):
        found = ops.convert_to_numpy(found)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    decoded = model.decode(codes)
    assert decoded.shape == images.shape
    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(twin.decode(codes), decoded, atol=1e-6)
    written = converters.published_state_dict(model)
    for name, array in arrays.items():
        if not name.endswith("0.weight") and "codebooks" in name:
            written_array = written[name][: len(array) - 1]
            np.testing.assert_allclose(written_array, array[:-1], atol=1e-6)


def test_attention_is_where_the_programs_resolution_puts_it():
    # Of a map as wide as `resolution` is halved once, whatever its height.
    told = config((2, 4), [2, 4, 1], 5)
    assert told["ddconfig"]["attn_resolutions"] == [4]
    model = converters.convert_rq_vae(state_dict(told), told)
    assert [len(level.attn) for level in model.encoder.down] == [0, 1]


def test_a_code_that_a_depth_does_not_have_is_refused():
    told = config((2, 2), [2, 2, 2], [5, 3])
    model = converters.convert_rq_vae(state_dict(told), told)
    codes = np.zeros((1, 2, 2, 2), "int32")
    codes[..., 0] = 4
    assert model.decode(codes).shape == (1, 4, 4, 3)
    codes[..., 1] = 3
    with pytest.raises(ValueError, match=r"\[0, 3\) at depth 1"):
        model.decode(codes)


@pytest.mark.parametrize(
    "latent, code, hparams, match",
    [
        ((4, 4), [2, 4, 2], {}, "each square of them"),
        ((4, 4), [3, 3, 2], {}, "each square of them"),
        ((4, 4), [4, 4], {}, "each square of them"),
        ((4, 4), [4, 4, 0], {}, "each square of them"),
        ((4, 4), [4, 4, 2], {"embed_dim": 5}, "embed_dim"),
        ((4, 4), [4, 4, 2], {"n_embed": [6]}, "each of 2 depths"),
        (
            *((4, 4), [4, 4, 2]),
            {"n_embed": [6, 5], "shared_codebook": True},
            "shared_codebook",
        ),
        ((4, 4), [2, 2, 1], {"latent_shape": [2, 2, 4]}, "resolution"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(latent, code, hparams, match):
    told = config((4, 4), [4, 4, 2], 6)
    arrays = state_dict(told)
    told["hparams"].update(code_shape=code, **hparams)
    with pytest.raises(ValueError, match=match) as raised:
        converters.convert_rq_vae(arrays, told)
    assert len(str(raised.value)) <= 300


def test_a_generator_embeds_codebooks_of_several_sizes_and_patches():
    told = config((4, 6), [2, 3, 2], [6, 3])
    tokenizer = converters.convert_rq_vae(state_dict(told), told)
    dim = tokenizer.quantizer.code_dim
    assert dim == 4 * CHANNELS
    stage2 = stage2_config(
        block_size=[2, 3, 2],
        vocab_size=[6, 3],
        input_embed_dim=dim,
        input_emb_vqvae=True,
        head_emb_vqvae=True,
        cumsum_depth_ctx=True,
    )
    generator = converters.convert_rq_transformer(
        stage2_state_dict(stage2), stage2, tokenizer
    )
    codes = generator.generate_codes([[1, 2, 3]] * 20, seed=0)
    assert codes.shape == (20, 2, 3, 2)
    assert codes[..., 1].max() < 3 <= codes[..., 0].max()
    assert tokenizer.decode(codes[:1]).shape == (1, 8, 12, 3)


def test_learned_embeddings_of_several_sizes_are_a_table_a_depth():
    sizes = [4, 6, 3]
    stage2 = stage2_config(block_size=[1, 2, 3], vocab_size=sizes)
    arrays = stage2_state_dict(stage2)
    generator = converters.convert_rq_transformer(arrays, stage2)
    codes = np.array([[[[3, 5, 2], [1, 0, 2]]]], "int32")
    stacks = ops.convert_to_tensor(codes[0])
    vectors = ops.convert_to_numpy(generator.head.embed(stacks))
    # The program has one table, in which depths follow each other.
    rows = codes[0] + np.array([0, 4, 10])
    expected = arrays["tok_emb.weight"][rows].sum(axis=-2)
    np.testing.assert_allclose(vectors, expected, rtol=1e-5)

    drawn = generator.generate_codes(
        [[1, 2, 3]], num_samples=60, temperature=9.0
    )
    for depth, size in enumerate(sizes):
        assert drawn[..., depth].max() == size - 1
    row = {"text": np.array([[1, 2, 3]]), "text_to_image": np.array([True])}
    generator.compile("sgd")
    for depth, size in enumerate(sizes):
        codes = np.zeros((1, 1, 2, 3), "int32")
        codes[..., depth] = size
        with pytest.raises(ValueError, match=r"`codes` must lie in \[0, "):
            generator.fit({**row, "codes": codes}, verbose=0)
        with pytest.raises(ValueError, match=r"`prime` must lie in \[0, "):
            generator.generate_codes(row["text"], prime=codes[:, 0, :1])
        with pytest.raises(ValueError, match=r"`codes` must lie in \[0, "):
            generator.generate_text(codes)
    written = converters.published_state_dict(generator)
    np.testing.assert_allclose(
        written["tok_emb.weight"], arrays["tok_emb.weight"], rtol=1e-6
    )


def test_an_archive_of_both_stages_becomes_two_presets_with_one_command(
    tmp_path, recipe
):
    told = config((2, 3), [2, 3, 2], 6, shared_codebook=True)
    arrays = state_dict(told)
    for name in [name for name in arrays if "codebooks.1" in name]:
        arrays[name] = arrays[name.replace("books.1", "books.0")]
    stage2 = stage2_config(
        block_size_cond=1,
        input_emb_vqvae=True,
        head_emb_vqvae=True,
        input_embed_dim=CHANNELS,
    )
    with tarfile.open(tmp_path / "in.tar.gz", "w:gz") as archive:
        for name, state, options in (
            ("rqvae", arrays, told),
            ("rqtransformer", stage2_state_dict(stage2), stage2),
        ):
            folder = tmp_path / "in" / name
            folder.mkdir(parents=True)
            write_checkpoint(folder / "model.pt", state)
            (folder / "config.yaml").write_text(json.dumps({"arch": options}))
        archive.add(tmp_path / "in", "in")
    arguments = [str(tmp_path / "in.tar.gz"), "--output", str(tmp_path / "rq")]
    assert recipe(arguments) == 0
    assert recipe([*arguments, "--overwrite"]) == 0
    generator = keras_bidalle.load(tmp_path / "rq")
    tokenizer = keras_bidalle.load(tmp_path / "rq" / "tokenizer")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(generator.head.codebooks.codebooks),
        codebooks_of(tokenizer),
    )
    codes = generator.generate_codes([[4]], seed=0)
    assert tokenizer.decode(codes).shape == (1, 4, 6, 3)
    card = (tmp_path / "rq" / "README.md").read_text()
    assert 'load("rq/tokenizer")' in card
