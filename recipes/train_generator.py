r"""Trains a generator on captioned pictures of yours, in both directions.

    python recipes/train_generator.py bidalle-mnist64 --pairs birds \
        --tokenizer runs/vqgan/tokenizer --set steps=20000
    python recipes/train_generator.py rq-transformer-cc3m-654m --fake-data \
        --tokenizer runs/rq-vae-ffhq/tokenizer --tiny

A byte pair encoding is trained on the captions. The shape and number of the
codes are the tokenizer's, whatever the configuration says; each picture is
encoded once, scaled to fit, its middle cut out. Leaves in
`runs/<name>/`: `model`, a TextImageModel for `keras_bidalle.load` and
`recipes/generate.py`, curves and samples, TensorBoard's events, checkpoints
that --resume goes on from, and `config.json`, which is itself a
configuration.
"""

import sys

import wiring  # isort: split

import choices
import keras
from captioned_codes import CaptionedCodes

from keras_bidalle import TextImageModel, configurations, data, load, training
from keras_bidalle.data import fingerprint
from keras_bidalle.generators import BidirectionalTransformer
from keras_bidalle.validation import as_uint8_images


def parse(arguments):
    parser = choices.parser(__doc__, configurations.names())
    parser.add_argument(
        "--tokenizer",
        required=True,
        metavar="PRESET",
        help="the image tokenizer: a name or folder that "
        "`keras_bidalle.load` opens, of a TextImageModel too",
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    """Runs the program.

    Args:
        arguments: list of str, those of the command line by default.

    Returns:
        int, the exit status: 0, or 1 after an error was told.
    """
    options = parse(arguments)
    try:
        with wiring.distributed(options):
            run(options)
    except (ImportError, OSError, ValueError) as error:
        return wiring.fail(error)
    return 0


def run(options):
    cls, arguments, settings = choices.configuration(
        options, configurations.generator, configurations.generator_training
    )
    if not issubclass(cls, BidirectionalTransformer):
        raise ValueError(
            "The configuration must be of a generator. "
            f"Received: {cls.__name__}"
        )
    for name in ("text_vocabulary_size", "text_length"):
        if not isinstance(arguments.get(name), int):
            raise ValueError(
                f"The configuration must have an integer `{name}`. "
                f"Received: {name}={arguments.get(name)!r}"
            )
    if arguments["text_length"] < 3:
        raise ValueError(
            f"{options.configuration} has no captions, but a class or "
            "nothing. --set text_length=32 gives it captions of 32 tokens."
        )
    # Made without its weights, to see at once whether it can be.
    configurations.count_params(cls, arguments)
    keras.utils.set_random_seed(options.seed)
    precision = wiring.resolved(options.precision)
    image_tokenizer = wiring.image_tokenizer_of(load(options.tokenizer))
    source = choices.source(options, captions=True)
    reader = choices.reader(source, settings, image_tokenizer.image_shape)
    # Before anything is written; how many captions fit is not known yet.
    reports, steps = choices.run_length(settings, len(source))
    choices.optimizer(settings, reports * steps, len(source))
    choices.first_pictures(reader, 1)
    folder = training.RunFolder(
        f"{options.output}/{choices.run_name(options)}",
        {
            **configurations.as_json(cls, arguments),
            "training": settings,
            "data": source.description,
            "seed": options.seed,
            "tokenizer": fingerprint(image_tokenizer),
        },
        resume=options.resume,
    )
    if (folder / "model").is_dir():
        print(f"done already; see {folder.path}")
        return
    rows = CaptionedCodes(
        folder,
        reader,
        image_tokenizer,
        arguments["text_vocabulary_size"],
        arguments["text_length"],
    )
    caption_tokenizer = rows.caption_tokenizer
    arguments = fitted(arguments, caption_tokenizer, image_tokenizer)

    def build():
        generator = configurations.build(cls, arguments)
        if arguments.get("code_dim") is not None:
            generator.use_codebooks(image_tokenizer)
        return generator

    with wiring.policy(precision):
        generator = build()
    print(
        f"{keras.config.backend()}, {precision}; {source.description}; "
        f"{generator.count_params():,} parameters; run: {folder.path}"
    )
    size = settings["batch_size"]
    reports, steps = choices.run_length(settings, len(rows))
    optimizer = choices.optimizer(settings, reports * steps, len(rows))
    # A compiler pays for itself in long runs only.
    compiled = wiring.jit(not options.tiny)
    if compiled is True:
        print("torch.compile comes before the first step; it takes a while")
    generator.compile(optimizer, jit_compile=compiled)
    optimizer.build(generator.trainable_variables)
    model = TextImageModel(image_tokenizer, caption_tokenizer, generator)
    shown = [lines[0] for lines in rows.captions[:8]]
    pictures = image_tokenizer.decode(rows.codes[:8])

    wiring.per_process(size)  # Told before anything is trained.

    @data.own_rows
    def make_batch(step):
        return rows.batch(
            size,
            (options.seed, 3, step),
            settings["text_to_image_share"],
            settings["bpe_dropout"],
        )

    wiring.fit_stage(
        folder,
        "generator",
        generator,
        make_batch,
        reports,
        steps,
        size,
        [
            (
                "image",
                "text_to_image",
                lambda: model.text_to_image(shown, seed=range(len(shown))),
            ),
            ("text", "image_to_text", lambda: model.image_to_text(pictures)),
        ],
    )
    if settings["average_momentum"]:
        # Also where a finished run is resumed, which has no `fit` to do so.
        generator.optimizer.finalize_variable_values(
            generator.trainable_variables
        )
    generator = wiring.in_float32(build, generator)
    model = TextImageModel(image_tokenizer, caption_tokenizer, generator)
    training.save_captioned(
        folder / "text_to_image.png",
        shown,
        model.text_to_image(shown, seed=range(len(shown)), num_samples=4),
    )
    training.save_captioned(
        folder / "image_to_text.png",
        [text or "(nothing)" for text in model.image_to_text(pictures)],
        as_uint8_images(pictures),
    )
    model.save_to_preset(folder / "model")
    print(f"done; see {folder.path}")


def fitted(arguments, caption_tokenizer, image_tokenizer):
    """A generator's arguments, made to fit its tokenizers."""
    result = {
        **arguments,
        "text_vocabulary_size": caption_tokenizer.vocabulary_size,
        "num_codes": image_tokenizer.num_codes,
        "code_shape": image_tokenizer.code_shape,
        "start_id": caption_tokenizer.start_id,
        "end_id": caption_tokenizer.end_id,
    }
    # `None` says that pads are tokens like any other.
    if arguments.get("pad_id", 0) is not None:
        result["pad_id"] = caption_tokenizer.pad_id
    if arguments.get("code_dim") is not None:
        quantizer = image_tokenizer.quantizer
        result["code_dim"] = quantizer.code_dim
        result["shared_codebook"] = getattr(quantizer, "has_one_codebook", True)
    return result


if __name__ == "__main__":
    sys.exit(main())
