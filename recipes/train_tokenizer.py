r"""Trains an image tokenizer on images of yours.

    python recipes/train_tokenizer.py small-64 --images photos \
        --set steps=20000 --held-out 0.05
    python recipes/train_tokenizer.py dall-e-dvae --fake-data --tiny

Leaves in `runs/<name>/`: `tokenizer`, a preset for `keras_bidalle.load`,
curves and reconstructions, TensorBoard's events, checkpoints that --resume
goes on from, and `config.json`, which is itself a configuration.
"""

import sys

import wiring  # isort: split

from keras_bidalle import configurations, programs


def parse(arguments=None):
    parser = wiring.make_parser(__doc__)
    names = configurations.tokenizer_names()
    programs.add_training(parser, names, captions=False)
    programs.add_start(
        parser,
        "a tokenizer of the same class, of another size or codebook too, or, "
        "for a single-level AugVAE, the multi-level one",
    )
    programs.add_lpips(parser)
    return parser.parse_args(arguments)


def run(options):
    configuration = programs.configured(options, "tokenizer")
    task = programs.image_task(options, configuration, captions=False)
    plan = programs.Plan(
        task,
        tokenizer=configuration,
        start_tokenizer=options.start_from,
        lpips=options.lpips,
        **programs.run_settings(options, options.configuration),
    )
    programs.train(plan)
    task.tell_skipped()


main = wiring.program(wiring.on_devices(run), parse)

if __name__ == "__main__":
    sys.exit(main())
