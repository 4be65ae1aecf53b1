import numpy as np
import pytest
from keras import ops
from published_rq import transformer_arrays as state_dict
from published_rq import transformer_config as config
from small_tokenizers import patch_vqgan

from keras_bidalle.converters import convert_rq_transformer
from keras_bidalle.converters.rq_transformer import is_rq_transformer
from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer

BOOKS = np.random.default_rng(1).normal(size=(2, 6, 4)).astype("float32")


def convert(tokenizer=None, **changed):
    options = config(**changed)
    return convert_rq_transformer(state_dict(options), options, tokenizer)


def logits(generator, codes):
    length = generator.text_length
    rows = {
        "text": np.zeros((len(codes), length), "int32"),
        "codes": codes,
        "text_to_image": np.ones(len(codes), bool),
    }
    return ops.convert_to_numpy(generator(rows)["image_logits"])


CODES = np.random.default_rng(2).integers(0, 3, (2, 2, 3, 2)).astype("int32")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"shared_tok_emb": True, "shared_cls_emb": True},
        {"input_emb_vqvae": True, "cumsum_depth_ctx": True},
        {"head_emb_vqvae": True},
        {"vocab_size_cond": 0, "block_size_cond": 0},
        {
            part: {"n_layer": 1, "block": {"n_head": 2, **block}}
            for block in ({"attn_bias": False, "gelu": "v2"},)
            for part in ("body", "head")
        },
        {
            part: {"n_layer": 1, "block": {"n_head": 2, "mlp_bias": False}}
            for part in ("body", "head")
        },
    ],
)
def test_every_configuration_finds_all_of_its_keys(changed):
    generator = convert(BOOKS, **changed)
    assert np.isfinite(logits(generator, CODES)).all()


def test_a_section_of_a_whole_configuration_will_do():
    whole = {"arch": config(), "dataset": {"type": "imagenet"}}
    assert is_rq_transformer(whole)
    assert not is_rq_transformer({"arch": {"type": "rq-vae"}})
    arrays = state_dict(config())
    np.testing.assert_array_equal(
        logits(convert_rq_transformer(arrays, whole), CODES),
        logits(convert_rq_transformer(arrays, config()), CODES),
    )


def test_depths_may_have_codebooks_of_several_sizes():
    generator = convert(vocab_size=[6, 3])
    found = logits(generator, CODES)
    assert found.shape == (2, 6, 2, 6)
    # What the program's mask gives codes that there are not.
    np.testing.assert_array_equal(found[:, :, 1, 3:], -1e6)
    assert np.abs(found[:, :, 1, :3]).max() < 1e3
    text = np.zeros((8, 3), "int32")
    assert generator.generate_codes(text)[..., 1].max() < 3
    arrays = state_dict(config(vocab_size=[6, 3]))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(generator.head.embedding)[1, :3],
        arrays["tok_emb.weight"][6:],
    )


def test_a_tokenizer_is_a_quantizer_a_preset_or_arrays(tmp_path):
    reuse = {"input_emb_vqvae": True, "head_emb_vqvae": True}
    quantizer = ResidualQuantizer(
        VectorQuantizer(6, 4), code_depth=2, shared=False
    )
    tokenizer = patch_vqgan(quantizer=quantizer)
    for part, book in zip(quantizer.quantizers, BOOKS, strict=True):
        part.assign_codebook(book)
    tokenizer.save_to_preset(tmp_path / "tokenizer")
    expected = logits(convert(BOOKS, **reuse), CODES)
    for given in (
        tokenizer,
        tokenizer.quantizer,
        tmp_path / "tokenizer",
        str(tmp_path / "tokenizer"),
    ):
        np.testing.assert_allclose(
            logits(convert(given, **reuse), CODES), expected, atol=1e-6
        )


def test_missing_and_wrong_tokenizers_are_told(tmp_path):
    reuse = {"input_emb_vqvae": True, "head_emb_vqvae": True}
    with pytest.raises(ValueError, match="Give its RQ-VAE as `tokenizer`"):
        convert(**reuse)
    with pytest.raises(ValueError, match="codebooks of shape"):
        convert(BOOKS[:, :5], **reuse)
    with pytest.raises(ValueError, match="`tokenizer` must"):
        convert(VectorQuantizer(6, 4), **reuse)
    with pytest.raises(FileNotFoundError, match="hold one checkpoint"):
        convert(tmp_path, **reuse)
    with pytest.raises(ValueError, match="Unknown preset"):
        convert(tmp_path / "nothing", **reuse)


@pytest.mark.parametrize(
    "changed,message",
    [
        ({"block_size": [4, 4]}, "`block_size` must be"),
        ({"vocab_size": [6, 6, 6]}, "`vocab_size` must be"),
        ({"use_padding_emb": True}, "not supported"),
        ({"body": {"n_layer": 1}}, "`body` must hold"),
        (
            {
                part: {"n_layer": 1, "block": {"n_head": 2, "gelu": "v3"}}
                for part in ("body", "head")
            },
            "`gelu` must be",
        ),
    ],
)
def test_unknown_configurations_are_told(changed, message):
    options = config()
    with pytest.raises(ValueError, match=message):
        convert_rq_transformer(state_dict(options), {**options, **changed})


def test_keys_that_are_missing_or_left_over_are_told():
    arrays = state_dict(config())
    with pytest.raises(ValueError, match="leaves no place for"):
        convert_rq_transformer({**arrays, "more.weight": np.zeros(3)}, config())
    del arrays["pos_emb_d"]
    with pytest.raises(ValueError, match="has no key 'pos_emb_d'"):
        convert_rq_transformer(arrays, config())
