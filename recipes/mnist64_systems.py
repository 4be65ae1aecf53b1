"""Other tokenizers and generators on the task of `mnist64_bidirectional.py`.

Runs that program once for each system and puts their figures into one table:
RQ-VAEs of depth 1 to 4 with one codebook size, the Gumbel tokenizer, and an
RQ-Transformer on the deepest RQ-VAE, in both directions. Each run is a folder
of `--output`, goes on after a kill, and is skipped when it is done.

    python recipes/mnist64_systems.py --data-dir path/to/mnist
"""

import argparse
import json
import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).with_name("mnist64_bidirectional.py")
STAGE_1 = ["--stages", "tokenizer"]


def residual(depth, *options):
    # Cells of 8x8 pixels: with one code a cell there is too little to say.
    options = options or STAGE_1
    return [
        *("--quantizer", "residual", "--code-depth", str(depth)),
        *("--cell", "8", "--num-codes", "256"),
        *options,
    ]


SYSTEMS = {
    "rq-vae-1": ("RQ-VAE, D = 1", residual(1)),
    "rq-vae-2": ("RQ-VAE, D = 2", residual(2)),
    "rq-vae-4": (
        "RQ-VAE, D = 4, and RQ-Transformer",
        residual(4, "--stages", "both"),
    ),
    "gumbel": ("Gumbel VQGAN", ["--quantizer", "gumbel", *STAGE_1]),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        "--preset", default="small", help="scale of the runs: smoke or small"
    )
    options, more = parser.parse_known_args()
    rows = {}
    for name in options.systems:
        folder = pathlib.Path(options.output) / name
        command = [
            *(sys.executable, str(PROGRAM)),
            *("--preset", options.preset),
            *("--name", name, "--output", options.output),
            *SYSTEMS[name][1],
            *more,
        ]
        if options.data_dir:
            command += ["--data-dir", options.data_dir]
        if folder.exists():
            command.append("--resume")
        print(f"=== {SYSTEMS[name][0]}", flush=True)
        if subprocess.run(command).returncode:
            sys.exit(f"error: {' '.join(command)} failed")
        rows[name] = json.loads((folder / "metrics.json").read_text())
    print(table(rows))


def table(rows):
    """The figures of runs as Markdown.

    Args:
        rows: dict of a system's name to the metrics of its run.
    """
    lines = [
        "| system | PSNR | codebook in use | read after the tokenizer | "
        "text to image | image to text |",
        "|---|---|---|---|---|---|",
    ]
    for name, figures in rows.items():
        tokenizer = figures["tokenizer"]
        cells = [
            SYSTEMS[name][0],
            f"{tokenizer['psnr']:.1f} dB",
            f"{tokenizer['codebook_usage']:.0%}",
            f"{tokenizer['reading']['accuracy']:.1%}",
        ]
        for direction in ("text_to_image", "image_to_text"):
            report = figures.get("unseen_instances")
            cells.append(
                f"{report[direction]['overall']['accuracy']:.1%}"
                if report
                else ""
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
