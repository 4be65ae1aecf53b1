"""Converts models of full published size, and measures the memory it takes.

    python recipes/checks/convert_full_size.py vqgan dall-e
    python recipes/checks/convert_full_size.py rq-transformer --folder /scratch

Writes each model with random weights in its program's own format, converts
it to a preset in a process of its own, and prints one line of JSON: the size
of the file and of the model, the most memory of a process that converts
nothing, of the conversion, and with the preset's saving. The limit is that
beside the model the conversion takes at most 1.5 times the file's size, and
of the RQ-Transformer of 1.4 billion weights that all takes 12 GB.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.append(str(pathlib.Path(__file__).parents[2] / "tests/converters"))

import pickles
import published
import published_dall_e
import published_rq

MOST_BESIDE, MOST_MB = 1.5, 12_000
# Random numbers that all weights are cut from.
NUMBERS = np.random.default_rng(0).normal(size=1 << 22).astype("float32") / 50


def write(path, shapes):
    """A checkpoint with random arrays of these shapes."""
    state, sizes = {}, {}
    for number, (name, shape) in enumerate(shapes.items()):
        size = sizes[str(number)] = int(np.prod(shape))
        strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
        kind = "FloatStorage"
        state[name] = pickles.tensor(
            kind, str(number), size, 0, shape, tuple(strides)
        )
    write_storages(path, {"state_dict": state}, sizes)


def write_storages(path, content, sizes):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickles.to_pickle(content))
        for key, size in sizes.items():
            entry = zipfile.ZipInfo(f"archive/data/{key}")
            with archive.open(entry, "w", force_zip64=True) as file:
                while size:
                    part = NUMBERS[:size]
                    file.write(part.data)
                    size -= len(part)


def ddconfig(multipliers, attention):
    """Sizes of a VQGAN's encoder, as the published programs call them."""
    return {
        "double_z": False,
        "z_channels": 256,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": multipliers,
        "num_res_blocks": 2,
        "attn_resolutions": [attention],
        "dropout": 0.0,
    }


def vqgan(folder):
    """VQGAN of 16 pixels a side and 16384 codes, for ImageNet."""
    encoder = ddconfig([1, 1, 2, 2, 4], 16)
    config = {"n_embed": 16384, "embed_dim": 256, "ddconfig": encoder}
    write(folder / "last.ckpt", published.shapes(config))
    (folder / "model.json").write_text(json.dumps(config))


def dall_e(folder):
    """DALL-E's discrete VAE: pickled modules."""
    sizes = {
        "n_hid": 256,
        "n_blk_per_group": 2,
        "group_count": 4,
        "input_channels": 3,
        "vocab_size": 8192,
        "n_init": 128,
        "decoder_n_hid": 256,
        "decoder_n_blk_per_group": 2,
    }
    for make in (published_dall_e.encoder, published_dall_e.decoder):
        pickled = published_dall_e.Pickled()
        content = make(pickled, sizes)
        arrays = enumerate(pickled.arrays.values())
        write_storages(
            folder / f"{make.__name__}.pkl",
            content,
            {str(i): array.size for i, array in arrays},
        )


def rq_transformer(folder):
    """RQ-Transformer of 1.4 billion weights, for ImageNet, and its RQ-VAE."""
    stage1, stage2 = folder / "rqvae", folder / "rqtransformer"
    stage1.mkdir()
    stage2.mkdir()
    hparams = {
        "bottleneck_type": "rq",
        "embed_dim": 256,
        "n_embed": 16384,
        "latent_shape": [8, 8, 256],
        "code_shape": [8, 8, 4],
        "shared_codebook": True,
    }
    encoder = ddconfig([1, 1, 2, 2, 4, 4], 8)
    config = {"type": "rq-vae", "hparams": hparams, "ddconfig": encoder}
    write(stage1 / "model.pt", published_rq.vae_shapes(config))
    (stage1 / "config.yaml").write_text(json.dumps({"arch": config}))
    blocks = {"block": {"n_head": 24}}
    config = published_rq.transformer_config(
        block_size=[8, 8, 4],
        embed_dim=1536,
        input_embed_dim=256,
        shared_tok_emb=True,
        shared_cls_emb=True,
        input_emb_vqvae=True,
        head_emb_vqvae=True,
        cumsum_depth_ctx=True,
        vocab_size=16384,
        vocab_size_cond=1000,
        block_size_cond=1,
        body={"n_layer": 42, **blocks},
        head={"n_layer": 6, **blocks},
    )
    write(stage2 / "model.pt", published_rq.transformer_shapes(config))
    (stage2 / "config.yaml").write_text(json.dumps({"arch": config}))


MODELS = {"vqgan": vqgan, "dall-e": dall_e, "rq-transformer": rq_transformer}


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def convert(path, output):
    """What the process of its own does."""
    from keras_bidalle import converters

    found = {"nothing_mb": peak_mb()}
    model, beside = converters.convert_with_tokenizer(path)
    found["conversion_mb"] = peak_mb()
    models = [one for one in (model, beside) if one is not None]
    found["model_mb"] = sum(4 * one.count_params() for one in models) / 1e6
    for number, one in enumerate(models):
        one.save_to_preset(output / str(number))
    found["with_saving_mb"] = peak_mb()
    print(json.dumps({k: round(v) for k, v in found.items()}))


def measure(name, folder):
    folder = pathlib.Path(folder)
    source = folder / "published"
    source.mkdir()
    MODELS[name](source)
    files = [path for path in source.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    command = [sys.executable, __file__, "--convert", source, folder / "preset"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    beside = (
        found["conversion_mb"] - found["nothing_mb"] - found["model_mb"]
    ) / size
    found = {"model": name, "file_mb": round(size), **found}
    found["share_of_the_file_beside_the_model"] = round(beside, 2)
    print(json.dumps(found), flush=True)
    return beside <= MOST_BESIDE and found["with_saving_mb"] <= MOST_MB


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", choices=[*MODELS, []])
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--convert", nargs=2, type=pathlib.Path)
    options = parser.parse_args(arguments)
    if options.convert:
        convert(*options.convert)
        return 0
    held = True
    for name in options.models or ["vqgan", "dall-e"]:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            held &= measure(name, folder)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
