"""Models as they were published: folders of several files, and archives."""

import json
import tarfile

import numpy as np
import pytest
from pickles import Name as PickledName
from pickles import Object, tensor, write_archive
from published import small_config, state_dict

import keras_bidalle
from keras_bidalle.converters import convert, read_vocabulary


def write_checkpoint(path, arrays, **beside):
    """A checkpoint of torch with arrays in its state dict."""
    content, storages = {}, {}
    for number, (name, array) in enumerate(arrays.items()):
        array = np.ascontiguousarray(array, "float32")
        strides = tuple(stride // 4 for stride in array.strides)
        content[name] = tensor(
            "FloatStorage", str(number), array.size, 0, array.shape, strides
        )
        storages[str(number)] = array.tobytes()
    write_archive(path, {"state_dict": content, **beside}, storages)


def write_vocabulary(folder):
    """The two files of a byte pair encoding; gives its size."""
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "d</w>", "e", "r", "re", "red</w>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "bpe-16k-vocab.json").write_text(json.dumps(vocabulary))
    merges = "#version: 0.2\nr e\nre d</w>\n"
    (folder / "bpe-16k-merges.txt").write_text(merges)
    return len(words)


def transformer(text, codes, length, places, width=8):
    """Random arrays under every key of minDALL-E's second stage."""
    rng = np.random.default_rng(0)
    shapes = {
        "tok_emb_txt.weight": (text, width),
        "tok_emb_img.weight": (codes, width),
        "pos_emb_txt.weight": (length, width),
        "pos_emb_img.weight": (places, width),
        "head_txt.weight": (text, width),
        "head_img.weight": (codes, width),
    }
    for name in ("ln_f", "blocks.0.ln1", "blocks.0.ln2"):
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for name, shape in (
        *((f"attn.{part}", (width, width)) for part in ("query", "key")),
        *((f"attn.{part}", (width, width)) for part in ("value", "proj")),
        ("mlp.0", (4 * width, width)),
        ("mlp.2", (width, 4 * width)),
    ):
        shapes[f"blocks.0.{name}.weight"] = shape
        shapes[f"blocks.0.{name}.bias"] = shape[:1]
    return {n: rng.normal(size=s).astype("float32") for n, s in shapes.items()}


@pytest.fixture
def mindalle(tmp_path):
    """minDALL-E's folder: one YAML, two checkpoints and the vocabulary."""
    folder = tmp_path / "1.3B"
    folder.mkdir()
    encoder = small_config()["ddconfig"] | {"ch_mult": [1, 2, 2]}
    for name in ("downsampling_method", "use_replicationpad", "version"):
        encoder.pop(name)
    config = {"n_embed": 6, "embed_dim": 4, "ddconfig": encoder}
    size = write_vocabulary(folder / "tokenizer")
    encoder = {**encoder, "pdrop": encoder["dropout"]}
    encoder.pop("dropout")
    options = {
        "stage1": {
            "type": "vqgan",
            "n_embed": 6,
            "embed_dim": 4,
            "hparams": encoder,
        },
        "stage2": {
            "type": "transformer1d",
            "vocab_size_txt": size,
            "vocab_size_img": 6,
            "hparams": {
                "embed_dim": 8,
                "n_layers": 1,
                "n_heads": 2,
                "n_dense_layers": 1,
                "ctx_len_img": 16,
                "ctx_len_txt": 5,
            },
        },
    }
    # JSON is YAML.
    (folder / "config.yaml").write_text(json.dumps(options))
    write_checkpoint(folder / "stage1_last.ckpt", state_dict(config))
    write_checkpoint(
        folder / "stage2_last.ckpt", transformer(size, 6, 5, 16), epoch=1
    )
    return folder


def test_minDALL_E_becomes_one_model_with_one_command(
    mindalle, tmp_path, recipe
):
    output = tmp_path / "model"
    assert recipe([str(mindalle), "--output", str(output)]) == 0
    model = keras_bidalle.load(output)
    images = model.text_to_image(["Red"], seed=0)
    assert images.shape == (1, 16, 16, 3)
    ids = model.caption_tokenizer.encode(["red"])
    assert model.caption_tokenizer.decode(ids) == ["red"]
    # Words and padding, without a start and an end.
    assert (ids[0, 1:] == 0).all() and ids[0, 0] > 1


def test_the_stages_of_minDALL_E_by_themselves(mindalle):
    tokenizer = convert(mindalle / "stage1_last.ckpt")
    assert tokenizer.code_shape == (4, 4)
    generator = convert(mindalle / "stage2_last.ckpt")
    assert generator.code_shape == (4, 4)
    model = convert(
        mindalle / "stage2_last.ckpt",
        tokenizer=mindalle / "stage1_last.ckpt",
        vocabulary=mindalle / "tokenizer",
    )
    assert model.generator.num_codes == 6


def test_archives_of_a_folder(mindalle, tmp_path):
    for name, mode in (("m.tar", "w"), ("m.tar.gz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:
            archive.add(mindalle, "1.3B")
        model = convert(tmp_path / name)
        assert type(model).__name__ == "TextImageModel"


def test_archives_that_lie_or_lead_outside_are_refused(tmp_path):
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "../outside.ckpt")
    with pytest.raises(ValueError, match="m.tar.gz.*cannot be unpacked"):
        convert(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="m.tar.gz"):
        convert(path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.tar.gz"]


def test_a_checkpoint_of_lightning_tells_its_own_settings(tmp_path):
    config = small_config()
    omega = {
        name: Object(PickledName("omegaconf.nodes", "AnyNode"), {"_val": v})
        for name, v in config["ddconfig"].items()
    }
    omega = Object(
        PickledName("omegaconf.dictconfig", "DictConfig"), {"_content": omega}
    )
    write_checkpoint(
        tmp_path / "last.ckpt",
        state_dict(config),
        hyper_parameters={**config, "ddconfig": omega},
        callbacks={"x": Object(PickledName("a.b", "C"), {})},
    )
    assert convert(tmp_path / "last.ckpt").code_shape == (8, 8)


def test_a_configuration_that_asks_for_too_much_costs_nothing(tmp_path):
    config = small_config()
    write_checkpoint(tmp_path / "last.ckpt", state_dict(config))
    for changed in (
        {"n_embed": 50_000_000_000},
        {"ddconfig": {**config["ddconfig"], "ch": 2**30}},
    ):
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**config, **changed}))
        with pytest.raises(ValueError, match="must have shape|has no key"):
            convert(tmp_path / "last.ckpt")


def test_a_vocabulary_that_is_none_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="`vocabulary` must be"):
        read_vocabulary(tmp_path, 8)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="`vocabulary`.*cannot be read"):
        read_vocabulary(tmp_path, 8)
