r"""Trains an image tokenizer on pictures of yours.

    python recipes/train_tokenizer.py rq-vae-ffhq --images photos \
        --set steps=20000 --set batch_size=16 --lpips lpips-vgg16.npz
    python recipes/train_tokenizer.py dall-e-dvae --fake-data --tiny

Leaves in `runs/<name>/`: `tokenizer`, a preset for `keras_bidalle.load`,
curves and reconstructions, TensorBoard's events, checkpoints that --resume
goes on from, and `config.json`, which is itself a configuration.
"""

import sys

import wiring  # isort: split

import choices
import keras

from keras_bidalle import (
    configurations,
    data,
    load,
    losses,
    quantizers,
    training,
)
from keras_bidalle.image_tokenizers import (
    AugVAE,
    ImageTokenizer,
    SingleLevelAugVAE,
)
from keras_bidalle.validation import as_uint8_images


def parse(arguments):
    parser = choices.parser(__doc__, configurations.tokenizer_names())
    parser.add_argument(
        "--lpips",
        metavar="FILE",
        help="LPIPS' weights, made by `converters.convert_lpips` (default: "
        "no perceptual loss)",
    )
    parser.add_argument(
        "--start-from",
        metavar="PRESET",
        help="weights to start from: a tokenizer of the same configuration, "
        "or, for a single-level AugVAE, the multi-level one",
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
        options, configurations.tokenizer, configurations.tokenizer_training
    )
    if not issubclass(cls, ImageTokenizer):
        raise ValueError(
            "The configuration must be of an image tokenizer. "
            f"Received: {cls.__name__}"
        )
    keras.utils.set_random_seed(options.seed)
    precision = wiring.resolved(options.precision)
    source = choices.source(options, captions=False)

    def build():
        return started(options.start_from, cls, arguments)

    with wiring.policy(precision):
        tokenizer = build()
    reader = choices.reader(source, settings, tokenizer.image_shape)
    batches = data.ImageBatches(
        reader, wiring.per_process(settings["batch_size"]), seed=options.seed
    )
    records = len(reader.source)
    reports, steps = choices.run_length(settings, records)
    optimizer = choices.optimizer(settings, reports * steps, records)
    compile_for_training(tokenizer, settings, optimizer, options.lpips)
    callbacks = cooling(tokenizer, settings)
    late = ["adversarial_start"] if settings["adversarial_weight"] else []
    late += ["temperature_steps", "beta_steps"] if callbacks else []
    for name in late:
        if settings[name] >= reports * steps > 1:
            print(
                f"{name}={settings[name]} is beyond the end of the run, "
                f"step {reports * steps}"
            )

    shown = choices.first_pictures(reader, 8)
    folder = training.RunFolder(
        f"{options.output}/{choices.run_name(options)}",
        {
            **configurations.as_json(cls, arguments),
            "training": settings,
            "data": source.description,
            "seed": options.seed,
            "start_from": options.start_from,
            "lpips": options.lpips,
        },
        resume=options.resume,
    )
    if (folder / "tokenizer").is_dir():
        print(f"done already; see {folder.path}")
        return
    print(
        f"{keras.config.backend()}, {precision}; {source.description}; "
        f"{tokenizer.count_params():,} parameters; run: {folder.path}"
    )

    def reconstructions():
        return training.comparison_grid(
            shown, as_uint8_images(tokenizer.reconstruct(shown))
        )

    wiring.fit_stage(
        folder,
        "tokenizer",
        tokenizer,
        batches,
        reports,
        steps,
        settings["batch_size"],
        [("image", "reconstructions", reconstructions)],
        callbacks,
    )
    if settings["average_momentum"]:
        # Also where a finished run is resumed, which has no `fit` to do so.
        tokenizer.optimizer.finalize_variable_values(
            tokenizer.trainable_variables
        )
    tokenizer = wiring.in_float32(build, tokenizer)
    training.save_png(
        folder / "reconstructions.png", reconstructions(), scale=2
    )
    tokenizer.save_to_preset(folder / "tokenizer")
    if reader.skipped:
        print(reader.report())
    print(f"done; see {folder.path}")


def started(preset, cls, arguments):
    """The tokenizer, with new weights or those of a preset."""
    if preset is None:
        return configurations.build(cls, arguments)
    earlier = wiring.image_tokenizer_of(load(preset))
    if cls is SingleLevelAugVAE and isinstance(earlier, AugVAE):
        return earlier.to_single_level(arguments.get("num_levels", 2) - 1)
    tokenizer = configurations.build(cls, arguments)
    shapes = [tuple(weight.shape) for weight in tokenizer.weights]
    if shapes != [tuple(weight.shape) for weight in earlier.weights]:
        raise ValueError(
            "`--start-from` must hold a tokenizer of the same configuration. "
            f"Received: {preset!r}, a {type(earlier).__name__}"
        )
    tokenizer.set_weights(earlier.get_weights())
    return tokenizer


def compile_for_training(tokenizer, settings, optimizer, lpips):
    adversarial = None
    if settings["adversarial_weight"]:
        adversarial = losses.AdversarialLoss(
            losses.PatchDiscriminator(
                settings["discriminator_layers"],
                settings["discriminator_filters"],
            ),
            loss=settings["adversarial_loss"],
            weight=settings["adversarial_weight"],
            start_step=settings["adversarial_start"],
        )
    perceptual = None
    if settings["perceptual_weight"]:
        if lpips:
            perceptual = losses.LPIPS(lpips)
        else:
            print("training without LPIPS (no --lpips file given)")
    tokenizer.compile(
        optimizer,
        reconstruction_loss=settings["pixel_loss"],
        perceptual=perceptual,
        perceptual_weight=settings["perceptual_weight"],
        adversarial=adversarial,
    )


def cooling(tokenizer, settings):
    """The schedules of a Gumbel quantizer, where they are asked for."""
    steps = settings["temperature_steps"], settings["beta_steps"]
    if None in steps or not isinstance(
        tokenizer.quantizer, quantizers.GumbelQuantizer
    ):
        return []
    return training.gumbel_schedules(
        tokenizer, temperature_steps=steps[0], beta_steps=steps[1]
    )


if __name__ == "__main__":
    sys.exit(main())
