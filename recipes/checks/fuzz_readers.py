"""Feeds damaged files to the readers of checkpoints, presets, and folders.

    python recipes/checks/fuzz_readers.py checkpoints --seconds 600
    python recipes/checks/fuzz_readers.py presets --minimize FOLDER
    python recipes/checks/fuzz_readers.py published --seconds 1200

A file that takes new steps in the readers is kept and changed further.
Right is what the documentation says: a result, or an error of the documented
kind in one printable line of at most 300 characters, within 10 seconds of the
processor and 500 MB. Prints the runs, seconds, peak memory and failures as
JSON; failing files stay in `--failures`. `--minimize` writes the files that
are needed to take all steps to a folder.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

from fuzzed_checkpoints import Checkpoints
from fuzzed_presets import Presets
from fuzzed_published import Published
from fuzzing import fuzz, minimized

TESTS = pathlib.Path(__file__).parents[2] / "tests"
READERS = {
    "checkpoints": Checkpoints,
    "presets": Presets,
    "published": Published,
}
CORPORA = {
    "checkpoints": TESTS / "converters/corpus",
    "presets": TESTS / "presets/corpus",
    "published": TESTS / "converters/published_corpus",
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=pathlib.Path)
    parser.add_argument("--minimize", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument(
        "--failures", type=pathlib.Path, default=pathlib.Path("failures")
    )
    options = parser.parse_args(arguments)
    reader = READERS[options.reader]()
    corpus = options.corpus or CORPORA[options.reader]
    paths = sorted(corpus.glob("*")) if corpus.is_dir() else []
    files = [*reader.seeds(), *(path.read_bytes() for path in paths)]
    rng = random.Random(options.seed)
    kept, figures = fuzz(options.seconds, reader, files, rng, options.failures)
    if options.minimize is not None:
        options.minimize.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(minimized(reader, kept)):
            (options.minimize / f"{number:04}.bin").write_bytes(data)
    print(json.dumps(figures))
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
    sys.exit(main())
