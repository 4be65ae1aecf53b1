r"""Trains a generator on captioned images of yours, in both directions.

    python recipes/train_generator.py bidalle-mnist64 --pairs birds \
        --tokenizer runs/vqgan/tokenizer --set steps=20000
    python recipes/train_generator.py rq-transformer-cc3m-654m --fake-data \
        --tokenizer runs/rq-vae-ffhq/tokenizer --tiny

A byte pair encoding is trained on the captions. With `text_length=1` the
condition is a class (a caption, or the folder that a picture lies in) or, with
`text_vocabulary_size=1`, nothing: `model` is then the generator alone. The
shape and number of the codes are the tokenizer's, whatever the configuration
says; each image is encoded once, scaled to fit, its middle cut out. Leaves in
`runs/<name>/`: `model`, a TextImageModel for `keras_bidalle.load` and
`recipes/generate.py`, curves and samples, TensorBoard's events, checkpoints
that --resume goes on from, and `config.json`, which is itself a
configuration.
"""

import sys

import wiring  # isort: split

from keras_bidalle import configurations, programs, tasks


def parse(arguments=None):
    parser = wiring.make_parser(__doc__)
    names = configurations.generator_names()
    programs.add_training(parser, names, captions=True)
    parser.add_argument(
        "--tokenizer",
        required=True,
        metavar="PRESET",
        help="the image tokenizer: a name or folder that "
        "`keras_bidalle.load` opens, of a TextImageModel too",
    )
    programs.add_start(
        parser,
        "a generator of the same class or a TextImageModel, of other words "
        "and codes too",
    )
    return parser.parse_args(arguments)


def plan(options):
    configuration = programs.configured(options, "generator")
    captions = tasks.has_captions(configuration)
    # Classes without captions are the folders that pictures lie in.
    captions = captions or not options.images
    return programs.Plan(
        programs.image_task(options, configuration, captions),
        tokenizer=options.tokenizer,
        generator=configuration,
        start_generator=options.start_from,
        # A compiler pays for itself in long runs only.
        jit=not options.tiny,
        **programs.run_settings(options, options.configuration),
    )


main = wiring.program(wiring.trains(plan), parse)

if __name__ == "__main__":
    sys.exit(main())
