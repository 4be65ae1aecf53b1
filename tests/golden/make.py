"""Makes the small golden cases of the image tokenizers.

    python tests/golden/make.py --programs CLONES --reference REFERENCE

CLONES holds clones of the published programs under the names of `CLONES`
below. REFERENCE holds the full cases, whose configurations are taken, with
smaller sizes. Nothing of the programs is copied: their modules are imported,
get random weights and answer for a random image.

First each program answers for the checkpoint of a full case. Its answers
must be the stored ones, or this script has run the program in a wrong way.

The generators' full cases are small already: they are copied as they are.
Needs torch, einops and attrs.
"""

import argparse
import pathlib
import shutil

import numpy as np
import torch
from clones import released
from programs import PROGRAMS
from writing import coarse_weights, write_case

CLONES = {
    "te_vqgan": "TE-VQGAN",
    "taming": "taming-transformers",
    "rq_vae": "rq-vae-transformer",
    "augvae": "L-Verse",
    "dall_e": "DALL-E",
}
# From a case to what is smaller than in the full one. Groups of 32 channels
# are the least that the normalizations allow.
SMALLER = {
    "ddconfig": {
        "te_vqgan": {"ch_mult": [1, 1], "resolution": 16, "z_channels": 8},
        "taming": {"ch_mult": [1, 1], "resolution": 16, "z_channels": 8},
        "rq_vae": {"ch_mult": [1, 1, 1], "z_channels": 8},
    },
    "te_vqgan": {"embed_dim": 6},
    "taming": {"embed_dim": 6},
    "augvae": {"ch_mult": [1, 1, 1], "z_channels": 8, "codebook_dim": 8},
}
ATTENTION = {"te_vqgan": [8], "taming": [8], "rq_vae": [4]}
COPIED = ("bidalle", "mindalle", "rq_transformer")


def smaller(name, config):
    """The configuration of a full case, with the sizes of a small one."""
    program = name.partition("/")[0]
    config = {**config, **SMALLER.get(program, {})}
    if "ddconfig" in config:
        config["ddconfig"] = {
            **config["ddconfig"],
            **SMALLER["ddconfig"][program],
            "attn_resolutions": ATTENTION[program],
        }
    if "disc" in config:
        config["disc"] = {**config["disc"], "ndf": 8}
    if program == "dall_e":
        sizes = {"n_hid": 16, "vocab_size": 64}
        config["encoder"] = {**config["encoder"], **sizes}
        config["decoder"] = {**config["decoder"], **sizes, "n_init": 8}
    return config


def check(program, folder):
    """The program's answers for a full case are the stored ones."""
    module, config = program.read(folder)
    with np.load(folder / "io.npz") as file:
        stored = dict(file)
    found = program.answers(module, config, torch.tensor(stored["image"]))
    if set(found) | {"image"} != set(stored):
        raise SystemExit(f"{folder}: {sorted(set(found) ^ set(stored))}")
    for name, array in found.items():
        np.testing.assert_allclose(
            array, stored[name], rtol=1e-4, atol=1e-5, err_msg=name
        )
    return config


def make(program, name, config, reference, output):
    torch.manual_seed(sum(name.encode()))
    config = smaller(name, config)
    module = program.build(config)
    coarse_weights(module, program.share)
    size = program.image_size(config)
    image = torch.rand(2, 3, size, size) * (1 - program.low) + program.low
    program.fit_codebook(module, config, image, reference / name)
    answers = program.answers(module, config, image)
    write_case(output / name, config, program.files(module), image, answers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--reference", type=pathlib.Path, required=True)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent
    )
    options = parser.parse_args()
    for group, clone in CLONES.items():
        with released(options.programs / clone):
            program = PROGRAMS[group]()
            for folder in sorted((options.reference / group).iterdir()):
                name = f"{group}/{folder.name}"
                config = check(program, folder)
                make(program, name, config, options.reference, options.output)
                print(name)
    for group in COPIED:
        shutil.copytree(
            options.reference / group,
            options.output / group,
            dirs_exist_ok=True,
        )


if __name__ == "__main__":
    main()
