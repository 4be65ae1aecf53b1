"""The options of the task's program: every setting of a recipe has one."""

import argparse
import re
from collections.abc import Iterator
from typing import Any

import keras

from keras_bidalle.configurations import parse_value
from keras_bidalle.tasks.mnist64.recipe import CHOICES, Recipe
from keras_bidalle.tasks.mnist64.task import MNIST64Task

_DOC = re.DOTALL | re.MULTILINE
PRESETS = ("smoke", "small", "paper")
# Options that stand for several settings, of which those are set that the
# recipe has; and settings that only some choices have. In this order, and
# before all others, they are set: what chooses a class comes first.
SEVERAL = {
    **{name: (name,) for name in CHOICES},
    "code_depth": ("tokenizer.quantizer.code_depth",),
    "kl_weight": ("tokenizer.quantizer.kl_weight",),
    "head_depth": ("generator.head_depth",),
    "num_codes": ("tokenizer.quantizer.num_codes",),
    "cell": ("tokenizer.patch_size",),
    "channels": ("tokenizer.channels", "tokenizer.hidden_channels"),
    "num_blocks": ("tokenizer.num_blocks", "tokenizer.num_res_blocks"),
    "code_dim": ("tokenizer.quantizer.code_dim", "tokenizer.z_channels"),
    "l1_weight": ("tokenizer.pixel_loss.l1",),
    "epochs": ("tokenizer.reports", "generator.reports"),
    "temperature": ("generator.sampling.temperature",),
    "top_k": ("generator.sampling.top_k",),
    "guidance_scale": ("generator.sampling.guidance_scale",),
}


def places() -> dict[str, tuple[str, ...]]:
    """The settings behind each option, by its name with underscores.

    Arguments of the models have options of their own names, settings of
    training those of their stage before, such as `tokenizer_steps`.
    """
    return {**dict(_plain_places(Recipe.preset("small"))), **SEVERAL}


def _plain_places(recipe: Recipe) -> Iterator[tuple[str, tuple[str, ...]]]:
    quantizer = recipe.tokenizer.arguments["quantizer"]["config"]
    parts = {
        "task.": recipe.task,
        "tokenizer.": recipe.tokenizer.arguments,
        "tokenizer.quantizer.": quantizer,
        "generator.": recipe.generator.arguments,
    }
    for prefix, settings in parts.items():
        for name, value in settings.items():
            if name != "seed" and not isinstance(value, dict):
                yield name, (prefix + name,)
    for stage in ("tokenizer", "generator"):
        for name in getattr(recipe, stage).training:
            yield f"{stage}_{name}", (f"{stage}.{name}",)
    yield "text_to_image_share", ("generator.text_to_image_share",)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `recipe_of` reads.

    The help has what docstrings say of each setting, and the presets' values.
    """
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="small",
        help="smoke: minutes, to see that it runs; small: made for 2 CPU "
        "cores; paper: the published configuration, made for a GPU",
    )
    presets = {name: Recipe.preset(name) for name in PRESETS}
    group = parser.add_argument_group(
        "settings",
        "Of the task, the models and their training. Values are words or "
        "JSON, null for none.",
    )
    for name, (first, *_) in places().items():
        _, choices = CHOICES.get(name, (None, None))
        values = [
            f"{preset}: {value}"
            for preset, recipe in presets.items()
            if (value := recipe.value(first)) is not None
        ]
        group.add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            nargs="+",
            type=parse_value,
            choices=choices,
            metavar=None if choices else "VALUE",
            help="".join(
                [
                    _explained(presets["small"], first),
                    f" ({', '.join(values)})" if values else "",
                ]
            ),
        )


def _explained(recipe: Recipe, place: str) -> str:
    """What the docstrings of a setting's class say of it."""
    if "." not in place:
        return "changes several settings"
    part, *path, name = place.split(".")
    owner: Any = MNIST64Task
    if part in ("tokenizer", "generator"):
        owner = getattr(recipe, part).cls
        if path == ["quantizer"]:
            quantizer = recipe.tokenizer.arguments["quantizer"]
            owner = keras.saving.get_registered_object(
                quantizer["registered_name"]
            )
    for cls in owner.__mro__:
        found = re.search(
            rf"^ +{name}: (.+?)(?=\n +\w+: |\n\n)", cls.__doc__ or "", _DOC
        )
        if found:
            text = " ".join(found[1].split()).replace("%", "%%")
            return f"{place}: {text}"
    return place


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that was asked for.

    Raises:
        ValueError: if what an option sets is not part of the recipe, such as
            a weight of another quantizer.
    """
    recipe = Recipe.preset(options.preset)
    known = places()
    for name in (*SEVERAL, *(name for name in known if name not in SEVERAL)):
        if not hasattr(options, name):
            continue
        value = getattr(options, name)
        several = isinstance(recipe.value(known[name][0]), tuple)
        if name == "top_k" and value == [0]:
            value = [None]  # all
        errors = []
        for place in known[name]:
            try:
                recipe.change(place, tuple(value) if several else value[0])
            except ValueError as error:
                errors.append(error)
        if len(errors) == len(known[name]):
            raise errors[0]
    recipe.change("tokenizer.quantizer.seed", options.seed)
    recipe.finish()
    return recipe
