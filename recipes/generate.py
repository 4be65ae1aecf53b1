r"""Draws images of captions, and writes captions of images.

    python recipes/generate.py bidalle-mnist --captions \
        "red 3 on the upper left ." "the number is green 7 ." --samples 4
    python recipes/generate.py bidalle-mnist --pictures photo.png folder

Of captions, each image is written by itself (`<caption>-<sample>.png`,
both counted from 0) and all of them in `grid.png`. Captions of images are
printed, one a line behind the image's path and a tab, and written to
`captions.json`. Caption or image number i is drawn with seed `--seed` + i,
whatever stands beside it, so each can be drawn again alone.

Of `--best-of N` candidates the `--samples` that `--scorer` likes best are
kept, best first; without one, those whose caption the model itself finds
likeliest, given the image. The scorer is `module:function`, found from here
or on Python's path, and is called with a list of captions and images of the
same number, uint8 (n, H, W, 3); it gives n numbers, the higher the better:

    def score(captions, images):
        return images.mean(axis=(1, 2, 3))

Captions are the likeliest words by default, and drawn at temperature 1 where
there are to be several.

A caption that has words outside the vocabulary, or an image that cannot be
read, is reported in one line, and the rest goes on; the exit status is then 1.
"""

import importlib
import json
import os
import pathlib
import sys

import wiring  # isort: split

import numpy as np

from keras_bidalle import training
from keras_bidalle.data.image_opening import path_name
from keras_bidalle.files import atomic_path


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add("model", help="a TextImageModel's preset, or the folder of a run")
    add("--captions", nargs="+", default=[], help="captions to draw")
    add("--captions-file", metavar="FILE", help="more of them, one a line")
    add("--pictures", nargs="+", default=[], help="pictures or folders to read")
    wiring.add_output(parser, "generated")
    add("--samples", type=int, default=1, help="results each (default: 1)")
    add("--seed", type=int, default=0, help="of the first (default: 0)")
    wiring.add_sampling(parser)
    add("--best-of", type=int, metavar="N", help="candidates each")
    add("--scorer", metavar="MODULE:FUNCTION", help="chooses among them")
    add("--batch-size", type=int, default=64, help="at once (default: 64)")
    options = parser.parse_args(arguments)
    if not (options.captions or options.captions_file or options.pictures):
        parser.error("give --captions, --captions-file or --pictures")
    return options


def run(options):
    wiring.check_counts(
        samples=options.samples,
        best_of=options.best_of,
        batch_size=options.batch_size,
    )
    common = {
        "num_samples": options.samples,
        "batch_size": options.batch_size,
        "best_of": options.best_of,
        "scorer": scorer_of(options.scorer) if options.scorer else None,
        **wiring.sampling_of(options),
    }
    captions = list(options.captions)
    if options.captions_file:
        lines = pathlib.Path(options.captions_file).read_text("utf-8-sig")
        captions += [line for line in lines.splitlines() if line.strip()]
    model = wiring.text_image_model(options.model)
    failed = draw(model, captions, common, options) if captions else 0
    if options.pictures:
        failed += read(model, common, options)
    return 1 if failed else 0


def draw(model, captions, common, options):
    """Draws images of captions; returns how many captions were refused."""
    drawn = []
    for number, caption in enumerate(captions):
        try:
            model.caption_tokenizer.encode([caption])
        except ValueError as error:
            # It names an argument; here there is one caption.
            wiring.fail(str(error).replace("`captions[0]`", repr(caption)))
            continue
        drawn.append((number, caption))
    if not drawn:
        return len(captions)
    seeds = [options.seed + number for number, _ in drawn]
    texts = [caption for _, caption in drawn]
    pictures = model.text_to_image(texts, seed=seeds, **common)
    pictures = pictures.reshape(len(texts), -1, *pictures.shape[-3:])
    for (number, _), row in zip(drawn, pictures, strict=True):
        for sample, picture in enumerate(row):
            file = options.output / f"{number:03d}-{sample}.png"
            training.save_png(file, picture)
    training.save_captioned(options.output / "grid.png", texts, pictures)
    print(
        f"{pictures.shape[0] * pictures.shape[1]} pictures of {len(texts)} "
        f"captions in {options.output}"
    )
    return len(captions) - len(drawn)


def read(model, common, options):
    """Writes captions of images; returns how many could not be read."""
    inputs = wiring.PictureInputs(options.pictures)
    shape = model.image_tokenizer.image_shape
    written = {}
    for batch in inputs.batches(options.batch_size, shape):
        numbers, names, pixels = zip(*batch, strict=True)
        seeds = [options.seed + number for number in numbers]
        texts = model.image_to_text(np.stack(pixels), seed=seeds, **common)
        for name, found in zip(names, texts, strict=True):
            found = [found] if isinstance(found, str) else found
            file = path_name(inputs.files[name])
            for text in found:
                print(f"{file}\t{text}")
            written[file] = found
    if written:
        with atomic_path(options.output / "captions.json") as temporary:
            temporary.write_text(json.dumps(written, indent=2) + "\n")
    return inputs.failed


def scorer_of(name):
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    # As with `python -m`: modules of the current folder are found.
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"--scorer must be module:function. Received: {name!r} ({error})"
        ) from error
    if not callable(found):
        raise ValueError(f"--scorer {name!r} is not a function.")
    return found


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
