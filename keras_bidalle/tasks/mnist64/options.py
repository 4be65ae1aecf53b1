"""The options of the task's program: short names of settings."""

import argparse
from typing import Any

from keras_bidalle.configurations import parse_setting
from keras_bidalle.tasks.mnist64.recipe import QUANTIZERS, TOKENIZERS, Recipe

PRESETS = ("smoke", "small", "paper")


class Option:
    """An option, and the settings that it stands for.

    Args:
        help: str.
        *places: str, settings as of `Recipe.change`; those that the recipe
            has are set.
        kind: type of the value.
        none: value that stands for `None`.
        choices: tuple of str or `None`.
    """

    def __init__(
        self,
        help: str,
        *places: str,
        kind: type = int,
        none: Any = None,
        choices: tuple[str, ...] | None = None,
    ) -> None:
        self.help = help
        self.places = places
        self.kind = str if choices else kind
        self.none = none
        self.choices = choices

    def set(self, recipe: Recipe, value: Any) -> None:
        """Sets the settings that the recipe has.

        Raises:
            ValueError: if it has none of them, such as a weight of another
                quantizer.
        """
        if self.none is not None and value == self.none:
            value = None
        errors = []
        for place in self.places:
            try:
                recipe.change(place, value)
            except ValueError as error:
                errors.append(error)
        if len(errors) == len(self.places):
            raise errors[0]


# In this order they are set: what chooses a class comes first.
OPTIONS = {
    "dataset": Option(
        "items on the canvas", "task.dataset", choices=("mnist", "fashion")
    ),
    "tokenizer": Option(
        "patch: local and fast on CPUs; vqgan: the published architecture; "
        "augvae: L-Verse's, on two levels, or on the finest alone",
        "tokenizer",
        choices=tuple(TOKENIZERS),
    ),
    "quantizer": Option(
        "orthogonal: TE-VQGAN's; ema: a codebook of running means; residual: "
        "several of its codes a position, RQ-VAE's; gumbel: DALL-E's relaxed "
        "choice",
        "quantizer",
        choices=(*QUANTIZERS, "residual"),
    ),
    "code_depth": Option(
        "codes a position, D (residual only)", "tokenizer.quantizer.code_depth"
    ),
    "cell": Option(
        "pixels on a side of one code, or of one stack of codes (patch only)",
        "tokenizer.patch_size",
    ),
    "orthogonality": Option(
        "lambda of the orthogonal codebook; 0 gives the plain VQGAN",
        "tokenizer.quantizer.orthogonality",
        kind=float,
    ),
    "kl_weight": Option(
        "weight of the codes' divergence from even use (gumbel only)",
        "tokenizer.quantizer.kl_weight",
        kind=float,
    ),
    "num_codes": Option(
        "size of the codebook", "tokenizer.quantizer.num_codes"
    ),
    "code_dim": Option(
        "channels of a code",
        "tokenizer.quantizer.code_dim",
        "tokenizer.z_channels",
    ),
    "channels": Option(
        "channels of the tokenizer's first level",
        "tokenizer.channels",
        "tokenizer.hidden_channels",
    ),
    "num_blocks": Option(
        "residual blocks a level",
        "tokenizer.num_blocks",
        "tokenizer.num_res_blocks",
    ),
    "tokenizer_steps": Option("training steps of stage 1", "tokenizer.steps"),
    "tokenizer_batch_size": Option(
        "images a step in stage 1", "tokenizer.batch_size"
    ),
    "tokenizer_learning_rate": Option(
        "the highest of stage 1", "tokenizer.learning_rate", kind=float
    ),
    "gan_start": Option(
        "step from which the discriminator counts; -1: no discriminator",
        "gan_start",
    ),
    "train_pictures": Option(
        "images whose codes are cached", "task.train_pictures"
    ),
    "patch_size": Option(
        "codes grouped into one position are patch_size x patch_size",
        "patch_size",
    ),
    "width": Option("channels of the transformer", "generator.width"),
    "depth": Option("blocks of the transformer", "generator.depth"),
    "num_heads": Option("attention heads", "generator.num_heads"),
    "head_dim": Option("channels of a head", "generator.head_dim"),
    "token_kernel_size": Option(
        "positions of the convolution over the embedded row; 1: none",
        "generator.token_kernel_size",
    ),
    "condition_dropout": Option(
        "share of rows trained without their condition, for guidance",
        "generator.condition_dropout",
        kind=float,
    ),
    "text_to_image_share": Option(
        "share of text-to-image rows in a batch",
        "generator.text_to_image_share",
        kind=float,
    ),
    "generator_steps": Option("training steps of stage 2", "generator.steps"),
    "generator_batch_size": Option(
        "rows a step in stage 2", "generator.batch_size"
    ),
    "generator_learning_rate": Option(
        "the highest of stage 2", "generator.learning_rate", kind=float
    ),
    "optimizer": Option("of stage 2", "optimizer", choices=("muon", "adam")),
    "epochs": Option(
        "times in each stage that figures and samples are logged",
        "tokenizer.reports",
        "generator.reports",
    ),
    "temperature": Option(
        "of sampled images", "generator.sampling.temperature", kind=float
    ),
    "top_k": Option(
        "codes kept when sampling images; 0: all",
        "generator.sampling.top_k",
        none=0,
    ),
    "guidance_scale": Option(
        "of sampled images; 1: none",
        "generator.sampling.guidance_scale",
        kind=float,
        none=1.0,
    ),
    "evaluation_pictures": Option(
        "images a layout in each split's evaluation",
        "task.evaluation_pictures",
    ),
    "classifier_steps": Option(
        "training steps of the judge", "task.classifier_steps"
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `recipe_of` reads; the help shows the presets' values."""
    add = parser.add_argument
    add(
        "--preset",
        choices=PRESETS,
        default="small",
        help="smoke: minutes, to see that it runs; small: made for 2 CPU "
        "cores; paper: the published configuration, made for a GPU",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="changes any other setting: tokenizer.NAME or generator.NAME, of "
        "the training or an argument of the model, or task.NAME, such as "
        "generator.rotary=false or task.crops=false",
    )
    presets = {name: Recipe.preset(name) for name in PRESETS}
    for name, option in OPTIONS.items():
        values = [
            f"{preset}: {value}"
            for preset, recipe in presets.items()
            if (value := recipe.value(option.places[0])) is not None
        ]
        add(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            type=option.kind,
            choices=option.choices,
            help=option.help + (f" ({', '.join(values)})" if values else ""),
        )


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that was asked for.

    Raises:
        ValueError: if an option or a setting is none of the recipe's.
    """
    recipe = Recipe.preset(options.preset)
    for name, option in OPTIONS.items():
        if hasattr(options, name):
            option.set(recipe, getattr(options, name))
    for text in options.set:
        recipe.change(*parse_setting(text))
    recipe.change("tokenizer.quantizer.seed", options.seed)
    recipe.finish()
    return recipe
