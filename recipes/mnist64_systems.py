"""Other tokenizers and generators on the task of `mnist64_bidirectional.py`.

Runs that program once for each system and puts their figures into one table:
RQ-VAEs of depth 1 to 4 with one codebook size, an RQ-Transformer on the
deepest in both directions, the Gumbel tokenizer, and AugVAE, on several levels
and on one. Each run is a folder of `--output`, goes on after a kill, and is
skipped when it is done. Further options are passed on to each run.

    python recipes/mnist64_systems.py --data-dir path/to/mnist
"""

import dataclasses
import json
import pathlib
import sys

import wiring  # isort: split

import mnist64_bidirectional

from keras_bidalle.files import atomic_path
from keras_bidalle.messages import markdown_table


@dataclasses.dataclass
class System:
    """A run: what it is called, and the options of the program."""

    title: str
    options: str
    stages: str = "tokenizer"
    start: str | None = None  # the run whose tokenizer it starts from


# Cells of 8x8 pixels: with one code a cell there is too little to say.
RESIDUAL = "--quantizer residual --cell 8 --num-codes 256 --code-depth "
AUGVAE = (
    "--quantizer ema --code-dim 64 --channels 16 --num-blocks 1 "
    "--tokenizer-steps 1000 --tokenizer-batch-size 16 --tokenizer "
)
SYSTEMS = {
    "rq-vae-1": System("RQ-VAE, D = 1", RESIDUAL + "1"),
    "rq-vae-2": System("RQ-VAE, D = 2", RESIDUAL + "2"),
    "rq-vae-4": System(
        "RQ-VAE, D = 4, and RQ-Transformer",
        RESIDUAL + "4 --generator-steps 3000",
        stages="both",
    ),
    "gumbel": System("Gumbel VQGAN", "--quantizer gumbel"),
    "augvae": System("AugVAE, all levels", AUGVAE + "augvae"),
    "augvae-single": System(
        "AugVAE, its finest level", AUGVAE + "augvae-single", start="augvae"
    ),
}


def parse(arguments=None):
    parser = wiring.make_parser(__doc__)
    # Options of the program are passed on, and may begin like these.
    parser.allow_abbrev = False
    add = parser.add_argument
    add("--output", default="runs", help="folder of the runs")
    names = tuple(SYSTEMS)
    add("--systems", nargs="+", choices=names, default=names)
    add(
        "--beside",
        metavar="RUN",
        type=pathlib.Path,
        help="folder of a finished run of the main program, whose figures "
        "are put beside",
    )
    return parser.parse_known_args(arguments)


def main(arguments=None):
    options, more = parse(arguments)
    output = pathlib.Path(options.output)
    runs = {}
    if options.beside:
        runs["the main job"] = metrics_of(options.beside)
    for name in options.systems:
        system = SYSTEMS[name]
        print(f"=== {system.title}", flush=True)
        command = [*system.options.split(), "--stages", system.stages]
        command += ["--name", name, "--output", str(output), *more]
        if system.start:
            start = output / system.start / "tokenizer"
            command += ["--start-tokenizer", str(start)]
        if (output / name).exists():
            command.append("--resume")
        if mnist64_bidirectional.main(command):
            return 1
        runs[system.title] = metrics_of(output / name)
    text = table(runs)
    with atomic_path(output / "systems.md") as path:
        path.write_text(text + "\n")
    print(text)
    return 0


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def table(runs):
    """Markdown of a dict from a system's title to the metrics of its run."""
    head = ["system", "codes", "PSNR", "codebook in use"]
    head += ["read after the tokenizer", "text to image", "image to text"]
    rows = []
    for title, figures in runs.items():
        if "tokenizer_before" in figures:
            before = cells_of(figures["tokenizer_before"])
            rows.append([f"{title} alone", *before])
            title = f"{title}, trained on"
        cells = cells_of(figures["tokenizer"])
        report = figures.get("unseen_instances", {})
        for direction in ("text_to_image", "image_to_text"):
            if report:
                accuracy = report[direction]["overall"]["accuracy"]
                cells.append(f"{accuracy:.1%}")
        rows.append([title, *cells])
    filled = [row + [""] * (len(head) - len(row)) for row in rows]
    return markdown_table(head, filled)


def cells_of(tokenizer):
    """The cells of a tokenizer's figures."""
    psnr = f"{tokenizer['psnr']:.1f} dB"
    if "reading" not in tokenizer:
        return ["", psnr]
    return [
        " x ".join(map(str, tokenizer["code_shape"])),
        psnr,
        f"{tokenizer['codebook_usage']:.0%}",
        f"{tokenizer['reading']['accuracy']:.1%}",
    ]


if __name__ == "__main__":
    sys.exit(main())
