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

A model of classes, the folder of a run or of a converted archive, draws the
names of its classes, or their numbers where it has no names; a model without
any condition draws "":

    python recipes/generate.py runs/of-classes --classes cats dogs --samples 4

A caption that has words outside the vocabulary, an unknown class, or an image
that cannot be read, is reported in one line, and the rest goes on; the exit
status is then 1.
"""

import pathlib
import sys

import wiring  # isort: split

from keras_bidalle.commands import generation


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add("model", help="a TextImageModel's preset, or the folder of a run")
    add(
        *("--captions", "--classes"),
        nargs="+",
        default=[],
        help="captions to draw, or classes of a model of classes",
    )
    add("--captions-file", metavar="FILE", help="more of them, one a line")
    add("--pictures", nargs="+", default=[], help="pictures or folders to read")
    wiring.add_output(parser, "generated")
    generation.add_generation(parser)
    options = parser.parse_args(arguments)
    if not (options.captions or options.captions_file or options.pictures):
        parser.error("give --captions, --captions-file or --pictures")
    return options


def run(options):
    captions = list(options.captions)
    if options.captions_file:
        lines = pathlib.Path(options.captions_file).read_text("utf-8-sig")
        captions += [line for line in lines.splitlines() if line.strip()]
    both = generation.Generation(options.model, options)
    failed = both.draw(captions, options.output) if captions else 0
    if options.pictures:
        failed += both.read(options.pictures, options.output)
    return 1 if failed else 0


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
