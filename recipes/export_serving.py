"""Exports a model as a folder that a stock TensorFlow Serving runs.

    python recipes/export_serving.py bidalle-mnist serving/bidalle
    tensorflow_model_server --rest_api_port=8501 --model_name=bidalle \
        --model_base_path=$PWD/serving/bidalle

The model is a name, a folder or a handle that `keras_bidalle.load` opens, or
the folder of a run, whose model is taken, or its tokenizer where there is no
model yet. The output is the folder of one version, if it is called by a
number, or the folder of all versions, which is given a new one. What was
written is checked in a process without Keras, unless `--no-check` says so;
the exit status is 1 if the check fails. The folder's README.md documents its
signatures.
"""

import os
import pathlib
import subprocess
import sys

# The one backend that writes the folder itself; others would start it.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import wiring  # isort: split

from keras_bidalle import load


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add("model", help="a preset, or the folder of a run")
    add("output", type=pathlib.Path, help="folder to write")
    add("--prompt", help="a caption for the requests that warm a server up")
    add("--tokenizer", action="store_true", help="exports the tokenizer alone")
    add("--overwrite", action="store_true", help="replaces any folder")
    add("--no-check", action="store_true", help="does not check the result")
    return parser.parse_args(arguments)


def run(options):
    model = load(wiring.preset_of(options.model, options.tokenizer))
    if options.tokenizer:
        model = wiring.image_tokenizer_of(model)
    if not hasattr(model, "export_serving"):
        raise ValueError(
            "The preset must hold an image tokenizer or a TextImageModel. "
            f"Received: a {type(model).__name__}"
        )
    given = {} if options.prompt is None else {"prompt": options.prompt}
    folder = model.export_serving(
        options.output, **given, overwrite=options.overwrite
    )
    print(f"exported to {folder}", flush=True)
    if options.no_check:
        return 0
    command = [sys.executable, "-m", "keras_bidalle.serving.check"]
    # Found as this program found it, installed or not.
    path = os.pathsep.join(p for p in sys.path if p)
    return subprocess.run(
        [*command, str(folder)], env={**os.environ, "PYTHONPATH": path}
    ).returncode


main = wiring.program(run, parse, (OSError, ValueError, RuntimeError))

if __name__ == "__main__":
    sys.exit(main())
