"""What the training programs are told: a model, its training, and data."""

import argparse
import inspect
import json
import math
import pathlib

import keras
import numpy as np
import wiring

from keras_bidalle import configurations, data, training

# What `--tiny` makes of any configuration: sizes that are set wherever a
# class takes them ...
_TINY = {
    "image_shape": (32, 32, 3),
    "channels": 16,
    "hidden_channels": 16,
    "channel_multipliers": (1, 1, 2),
    "next_channel_multipliers": (1, 2),
    "num_res_blocks": 1,
    "num_blocks": 1,
    "attention_resolutions": (),
    "z_channels": 16,
    "num_codes": 32,
    "code_dim": 16,
    "text_vocabulary_size": 200,
    "text_length": 48,
    "width": 48,
    "num_heads": 2,
    "head_depth": 1,
}
# ... and those that are only changed where they are given.
_TINY_WHERE_GIVEN = {
    "depth": 2,
    "num_levels": 2,
    "head_dim": 16,
    "kernel_size": 3,
    "input_dim": 32,
    "decoder_channels": 16,
    "decoder_num_res_blocks": 1,
}
_TINY_TRAINING = {
    "learning_rate": 2e-3,
    "batch_size": 8,
    "epochs": None,
    "steps": 20,
    "schedule_steps": None,
    "warmup_steps": 0,
    "warmup_epochs": None,
    "average_momentum": None,
    "discriminator_layers": 1,
    "discriminator_filters": 8,
    "adversarial_start": 10,
    "temperature_steps": 15,
    "beta_steps": 5,
}
# Settings that count something.
_WHOLE = {
    *("batch_size", "epochs", "steps", "warmup_steps"),
    *("schedule_cycles", "schedule_steps", "temperature_steps", "beta_steps"),
    *("adversarial_start", "discriminator_layers", "discriminator_filters"),
}
# And those that are parts of a whole.
_SHARES = {
    *("beta_1", "beta_2", "average_momentum"),
    *("text_to_image_share", "bpe_dropout"),
}


def parser(description, names):
    """The options that both training programs have.

    Args:
        description: str, the program's.
        names: list of str, the published configurations.

    Returns:
        `argparse.ArgumentParser`, to which more may be added.
    """
    result = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add(
        "configuration",
        help=f"one of {', '.join(names)}; or a JSON file, "
        '{"class": ..., "arguments": {...}, "training": {...}}, such as the '
        "config.json of a run",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="changes a setting of the training or an argument of the model, "
        "such as steps=1000, channels=64 or quantizer.num_codes=512",
    )
    add(
        "--tiny",
        action="store_true",
        help="shrinks the configuration until it runs in seconds",
    )
    add("--output", default="runs", help="folder of all runs (default: runs)")
    add("--name", help="name of the run (default: the configuration's)")
    add("--resume", action="store_true", help="go on with a run that was cut")
    add("--seed", type=int, default=0, help="of weights and data (default: 0)")
    add(
        "--precision",
        default="auto",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
        help="dtype policy of training; what is saved computes in float32 "
        "(default: mixed_bfloat16 where the processor multiplies it)",
    )
    wiring.add_distribution(result)
    group = result.add_argument_group("data, one of")
    kinds = group.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--images", metavar="FOLDER", help="pictures")
    kinds.add_argument(
        "--pairs",
        metavar="FOLDER",
        help="pictures with a .txt of captions beside each, or --captions",
    )
    kinds.add_argument("--tar", metavar="PATTERN", help="WebDataset tar files")
    kinds.add_argument("--tfds", metavar="NAME", help="TensorFlow Datasets")
    kinds.add_argument(
        "--fake-data",
        action="store_true",
        help="made-up pictures with captions, to try a configuration",
    )
    more = result.add_argument_group("of the data")
    more.add_argument(
        "--captions", metavar="FILE", help="of --pairs: JSON or CSV"
    )
    more.add_argument(
        "--tfds-split", default="train", help="of --tfds (default: train)"
    )
    more.add_argument(
        "--tfds-captions",
        metavar="FEATURE",
        help="of --tfds: the feature with captions, or a class label",
    )
    more.add_argument("--data-dir", help="of --tfds: where data sets are kept")
    return result


def configuration(options, named, training_of):
    """The model and its training, as asked for.

    Args:
        options: what the parser gave.
        named: function of a name to a class and its arguments.
        training_of: function of a name, or of nothing, to settings.

    Returns:
        Tuple of a class, a dict of arguments for `configurations.build`, and
        a dict of training settings.

    Raises:
        ValueError: on unknown names.
        FileNotFoundError: if there is no such file.
    """
    if options.configuration.endswith(".json"):
        cls, arguments, given = configurations.read_configuration(
            options.configuration
        )
        settings = training_of()
        unknown = sorted(set(given) - set(settings))
        if unknown:
            raise ValueError(
                f'{options.configuration}: "training" has unknown settings '
                f"{', '.join(unknown)}. Known are {', '.join(settings)}."
            )
        settings.update(given)
    else:
        cls, arguments = named(options.configuration)
        settings = training_of(options.configuration)
    if options.tiny:
        arguments = tiny(cls, arguments)
        settings.update(
            (name, value)
            for name, value in _TINY_TRAINING.items()
            if name in settings
        )
    for text in options.set:
        _override(text, cls, arguments, settings)
    _check(settings, training_of())
    return cls, arguments, settings


def _check(settings, defaults):
    """Refuses values that no setting of that name can have."""
    for name, value in settings.items():
        default = defaults[name]
        if value is None and (default is None or name in ("epochs", "steps")):
            continue
        if isinstance(default, (str, dict)):
            kind = "a word" if isinstance(default, str) else "an object"
            right = isinstance(value, type(default))
            if name == "pixel_loss":  # Several, with their weights.
                kind, right = (
                    "a word or an object",
                    isinstance(value, (str, dict)),
                )
        elif name in _WHOLE:
            least = 1 if name in ("batch_size", "schedule_cycles") else 0
            kind = f"an integer of at least {least}"
            right = type(value) is int and value >= least
        else:
            most = 1 if name in _SHARES else float("inf")
            kind = "a number from 0" + (" to 1" if most == 1 else "")
            right = type(value) in (int, float) and 0 <= value <= most
            right = right and math.isfinite(value)
        if not right:
            raise ValueError(
                f"The training's `{name}` must be {kind}. "
                f"Received: {name}={value!r}"
            )
    if settings["steps"] is None and settings["epochs"] is None:
        raise ValueError("One of `steps` and `epochs` must be given.")


def tiny(cls, arguments):
    """Arguments of a model that is as small as it can be.

    Args:
        cls: class.
        arguments: dict, as `configurations.build` takes them.

    Returns:
        dict.
    """
    result = {
        name: (value[0], tiny(*value))
        if configurations.is_nested(value)
        else value
        for name, value in arguments.items()
    }
    # A base class may take what this one decides itself.
    known = {*arguments, *inspect.signature(cls.__init__).parameters}
    result.update((n, value) for n, value in _TINY.items() if n in known)
    for name, value in _TINY_WHERE_GIVEN.items():
        if result.get(name) is not None:
            result[name] = min(result[name], value)
    if "attention" in result:
        result["attention"] = result["attention"][-2:]
    return result


def _known_arguments(cls):
    """The names that a constructor takes, those of its bases included."""
    names = set()
    for part in cls.__mro__:
        if part.__module__.startswith("keras_bidalle."):
            if "__init__" in vars(part):
                names |= set(inspect.signature(part.__init__).parameters)
    return names - {"self", "args", "kwargs"}


def _override(text, cls, arguments, settings):
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"`--set` takes NAME=VALUE. Received: {text!r}")
    try:
        value = json.loads(value)
    except ValueError:
        pass  # A word, such as a kind of loss.
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, dict) and "class" in value:
        value = configurations.from_json(value)
    if name in settings:
        settings[name] = value
        return
    *path, last = name.split(".")
    for part in path:
        if not configurations.is_nested(arguments.get(part)):
            raise ValueError(
                f"`--set {text}`: {cls.__name__} has no {part!r} with "
                "arguments of its own."
            )
        cls, arguments = arguments[part]
    known = _known_arguments(cls)
    if last not in known:
        raise ValueError(
            f"`--set {text}`: {last!r} is neither a setting of the training "
            f"({', '.join(settings)}) nor an argument of {cls.__name__} "
            f"({', '.join(sorted(known))})."
        )
    arguments[last] = value


def source(options, captions):
    """The data set that was asked for.

    Args:
        options: what the parser gave.
        captions: bool, whether captions are needed.

    Returns:
        `keras_bidalle.data.ImageSource`.

    Raises:
        ValueError, FileNotFoundError: when there is no such data set, or it
            has no captions.
    """
    if options.fake_data:
        return data.FakeImages(256, size=64, seed=options.seed)
    if options.pairs:
        return data.ImageTextFolder(options.pairs, captions=options.captions)
    if options.tar:
        return data.TarImages(options.tar, captions=captions)
    if captions and not options.tfds:
        raise ValueError(
            "A generator needs captions: give --pairs, --tar, --tfds or "
            "--fake-data. Received: --images"
        )
    if options.images:
        return data.ImageFolder(options.images)
    if captions and not options.tfds_captions:
        raise ValueError(
            "A generator needs captions: --tfds-captions names the feature "
            f"of {options.tfds} that has them."
        )
    return data.TFDSImages(
        options.tfds,
        split=options.tfds_split,
        captions=options.tfds_captions if captions else None,
        data_dir=options.data_dir,
    )


def reader(pictures, settings, image_shape):
    """A reader that cuts as the settings say.

    Args:
        pictures: `keras_bidalle.data.ImageSource`.
        settings: dict.
        image_shape: tuple (H, W, C).
    """
    cut = data.crop_named(
        settings["crop"], tuple(image_shape[:2]), settings["crop_arguments"]
    )
    return data.ImageReader(pictures, cut)


def first_pictures(reader, count):
    """The first pictures that can be read, cut as for evaluation.

    Args:
        reader: `keras_bidalle.data.ImageReader`.
        count: int, at most so many.

    Returns:
        uint8 (n, H, W, 3).

    Raises:
        keras_bidalle.data.ImageError: when none can be read.
    """
    found = []
    for index in range(len(reader.source)):
        row = reader.read(index)
        if row is not None:
            found.append(row[0])
        if len(found) == count:
            break
    if not found:
        raise data.ImageError(
            f"No picture of {reader.source.description} can be read. "
            f"{reader.report()}"
        )
    return np.stack(found)


def run_length(settings, records):
    """How long a run is: times that it is summed up, and steps between.

    Args:
        settings: dict with `steps` or `epochs`, and `batch_size`.
        records: int, how many there are.
    """
    steps = settings["steps"]
    if steps is None:
        steps = settings["epochs"] * records // settings["batch_size"]
    steps = max(1, steps)
    reports = max(1, min(20, steps // 10))
    return reports, steps // reports


def warmup_length(settings, records):
    """Over how many steps the learning rate rises.

    Args:
        settings: dict with `warmup_epochs` or `warmup_steps`, and
            `batch_size`.
        records: int, how many there are.
    """
    if settings["warmup_epochs"] is None:
        return settings["warmup_steps"]
    return int(settings["warmup_epochs"] * records / settings["batch_size"])


def optimizer(settings, steps, records):
    """The optimizer of the settings.

    Args:
        settings: dict.
        steps: int, of the run.
        records: int, of an epoch.

    Raises:
        ValueError: if a setting is none that is known, or the run would end
            before the learning rate has risen.
    """
    kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    for name, known in (
        ("optimizer", kinds),
        ("schedule", ("constant", "cosine")),
    ):
        if settings[name] not in known:
            raise ValueError(
                f"`{name}` must be one of {', '.join(known)}. "
                f"Received: {name}={settings[name]!r}"
            )
    rate, warmup = settings["learning_rate"], warmup_length(settings, records)
    if not 0 <= warmup < steps:
        raise ValueError(
            f"The learning rate would rise for {warmup} steps "
            f"(warmup_epochs={settings['warmup_epochs']}, "
            f"warmup_steps={settings['warmup_steps']}), but the run has "
            f"{steps}. Change it with --set warmup_epochs=null --set "
            "warmup_steps=..."
        )
    if settings["schedule"] == "cosine":
        rate = training.WarmupCosine(
            rate,
            settings["schedule_steps"] or steps,
            warmup,
            floor=settings["final_learning_rate"],
            cycles=settings["schedule_cycles"],
        )
    elif warmup:
        # Falls to all of it: a line up, then constant.
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, 1, alpha=1.0, warmup_target=rate, warmup_steps=warmup
        )
    more = {}
    if settings["optimizer"] == "adamw":
        more["weight_decay"] = settings["weight_decay"]
    if settings["average_momentum"]:
        more.update(use_ema=True, ema_momentum=settings["average_momentum"])
    return kinds[settings["optimizer"]](
        rate,
        beta_1=settings["beta_1"],
        beta_2=settings["beta_2"],
        epsilon=settings["epsilon"],
        global_clipnorm=settings["clip_norm"],
        **more,
    )


def run_name(options):
    """The name of the run's folder."""
    return options.name or pathlib.Path(options.configuration).stem
