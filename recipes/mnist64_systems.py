"""Other tokenizers and generators on the task of `mnist64_bidirectional.py`.

Runs that program once for each system and puts their figures into one table:
RQ-VAEs of depth 1 to 4 with one codebook size, an RQ-Transformer on the
deepest in both directions, the Gumbel tokenizer, and AugVAE, on several levels
and on one. Each run is a folder of `--output`, goes on after a kill, and is
skipped when it is done.

    python recipes/mnist64_systems.py --data-dir path/to/mnist
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys

RECIPES = pathlib.Path(__file__).parent


@dataclasses.dataclass
class System:
    """A run: what it is called, and the options of which program."""

    title: str
    options: list
    program: str = "mnist64_bidirectional.py"
    stages: str = "tokenizer"

    def command(self):
        return [
            *(sys.executable, str(RECIPES / self.program)),
            *("--stages", self.stages),
            *self.options,
        ]


def residual(depth):
    # Cells of 8x8 pixels: with one code a cell there is too little to say.
    return [
        *("--quantizer", "residual", "--code-depth", str(depth)),
        *("--cell", "8", "--num-codes", "256"),
    ]


SYSTEMS = {
    "rq-vae-1": System("RQ-VAE, D = 1", residual(1)),
    "rq-vae-2": System("RQ-VAE, D = 2", residual(2)),
    "rq-vae-4": System(
        "RQ-VAE, D = 4, and RQ-Transformer",
        [*residual(4), "--generator-steps", "3000"],
        stages="both",
    ),
    "gumbel": System("Gumbel VQGAN", ["--quantizer", "gumbel"]),
    "augvae": System(
        "AugVAE",
        [
            *("--quantizer", "ema", "--code-dim", "64"),
            *("--channels", "16", "--num-blocks", "1"),
            *("--tokenizer-steps", "1000", "--tokenizer-batch-size", "16"),
        ],
        program="mnist64_augvae.py",
    ),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # Options of the program are passed on, and may begin like these.
        allow_abbrev=False,
    )
    parser.add_argument("--data-dir", default=None, help="as of the program")
    parser.add_argument("--output", default="runs", help="folder of the runs")
    parser.add_argument(
        "--systems",
        nargs="+",
        choices=tuple(SYSTEMS),
        default=tuple(SYSTEMS),
        help="which to run",
    )
    parser.add_argument(
        "--beside",
        metavar="RUN",
        help="folder of a finished run of the main program, whose figures "
        "are put beside",
    )
    parser.add_argument(
        "--preset", default="small", help="scale of the runs: smoke or small"
    )
    options, more = parser.parse_known_args()
    runs = {}
    if options.beside:
        runs["the main job"] = metrics_of(pathlib.Path(options.beside))
    for name in options.systems:
        system = SYSTEMS[name]
        folder = pathlib.Path(options.output) / name
        command = [
            *system.command(),
            *("--preset", options.preset),
            *("--name", name, "--output", options.output),
            *more,
        ]
        if options.data_dir:
            command += ["--data-dir", options.data_dir]
        if folder.exists():
            command.append("--resume")
        print(f"=== {system.title}", flush=True)
        if subprocess.run(command).returncode:
            sys.exit(f"error: {' '.join(command)} failed")
        runs[system.title] = metrics_of(folder)
    # Here, because it brings Keras with it, which the runs have for themselves.
    from keras_bidalle.files import atomic_path

    text = table(runs)
    with atomic_path(pathlib.Path(options.output) / "systems.md") as path:
        path.write_text(text + "\n")
    print(text)


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def table(runs):
    """The figures of runs as Markdown.

    Args:
        runs: dict of a system's title to the metrics of its run.

    Returns:
        str.
    """
    lines = [
        "| system | codes | PSNR | codebook in use | read after the "
        "tokenizer | text to image | image to text |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, figures in runs.items():
        if "multi_level" in figures:
            psnr = figures["multi_level"]["psnr"]
            lines.append(row(f"{title}, all levels", f"{psnr:.1f} dB", at=2))
            before = of_tokenizer(figures["single_level_before"])
            lines.append(row(f"{title}, its finest level alone", *before))
            title = f"{title}, that level trained on"
        cells = of_tokenizer(figures["tokenizer"])
        for direction in ("text_to_image", "image_to_text"):
            report = figures.get("unseen_instances")
            if report:
                accuracy = report[direction]["overall"]["accuracy"]
                cells.append(f"{accuracy:.1%}")
        lines.append(row(title, *cells))
    return "\n".join(lines)


def of_tokenizer(figures):
    return [
        " x ".join(map(str, figures["code_shape"])),
        f"{figures['psnr']:.1f} dB",
        f"{figures['codebook_usage']:.0%}",
        f"{figures['reading']['accuracy']:.1%}",
    ]


def row(title, *cells, at=1, columns=7):
    """A row of the table, its cells from column `at` on."""
    filled = [title] + [""] * (at - 1) + list(cells)
    filled += [""] * (columns - len(filled))
    return f"| {' | '.join(filled)} |"


if __name__ == "__main__":
    main()
