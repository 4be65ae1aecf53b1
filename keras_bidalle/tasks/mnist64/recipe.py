"""The three scales of the task's run, and what changes several settings."""

import copy
from typing import Any

from keras_bidalle import generators, image_tokenizers, quantizers
from keras_bidalle.configurations import Configuration, serialized, sizes
from keras_bidalle.tasks import recipe as recipes
from keras_bidalle.tasks.mnist64.caption_table import grammar_tokenizer
from keras_bidalle.tasks.mnist64.grammar import DATASETS, caption_grammar
from keras_bidalle.tasks.mnist64.task import MNIST64Task

# The quantizers by name; sizes and seeds come from what they replace.
QUANTIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "orthogonal": (
        quantizers.OrthogonalVectorQuantizer,
        {"orthogonality": 10.0, "kmeans_steps": 10, "revival_steps": 100},
    ),
    "ema": (quantizers.EMAVectorQuantizer, {"kmeans_steps": 10}),
    "gumbel": (quantizers.GumbelQuantizer, {"kl_weight": 2e-3}),
}
SIZE = {"num_codes": 128, "code_dim": 128, "seed": 0}
_AUGVAE = {
    "channel_multipliers": (1, 2, 4),
    "next_channel_multipliers": (4, 4),
    "channels": 96,
    "num_res_blocks": 2,
    "z_channels": 128,
}
TOKENIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "patch": (image_tokenizers.PatchVQGAN, sizes.PATCHES),
    # The published architecture.
    "vqgan": (
        image_tokenizers.VQGAN,
        {
            "channels": 96,
            "channel_multipliers": (1, 2, 2),
            "num_res_blocks": 2,
            "attention_resolutions": (16,),
            "z_channels": 128,
        },
    ),
    "augvae": (image_tokenizers.AugVAE, {"num_levels": 2, **_AUGVAE}),
    # The finest level alone, of 4x4 pixels a code: digits stay legible.
    "augvae-single": (
        image_tokenizers.SingleLevelAugVAE,
        {"num_levels": 1, **_AUGVAE},
    ),
}
# As published for VQGANs, beside what is made for local tokenizers.
_VQGAN_TRAINING = {
    "optimizer": "adam",
    "schedule": "constant",
    "beta_1": 0.5,
    "beta_2": 0.9,
    "weight_decay": 0.0,
    "warmup_steps": 0,
    "pixel_loss": "l1",
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "muon": sizes.MUON,
    "adam": {
        "optimizer": "adam",
        "optimizer_arguments": {},
        "beta_2": 0.999,
        "weight_decay": 0.0,
    },
}


class Recipe(recipes.Recipe):
    """Both configurations, and the arguments of `MNIST64Task`."""

    @classmethod
    def preset(cls, name: str) -> "Recipe":
        """One of the three scales: "smoke", "small" or "paper"."""
        if name == "paper":
            return _paper()
        recipe = _small()
        if name == "smoke":
            for place, value in SMOKE.items():
                recipe.change(place, value)
            recipe.jit = False
        return recipe

    def change(self, place: str, value: Any) -> None:
        """As of any recipe; names of `CHOICES` change several settings."""
        if place in CHOICES:
            CHOICES[place][0](self, value)
            return
        super().change(place, value)
        if place == "generator.activation":
            self.generator.arguments["use_bias"] = value != "squared_relu"

    def fit_curves(self, training: dict[str, Any], steps: int) -> None:
        curves = _curves(steps)
        if training["schedule"] == "constant":
            del curves["warmup_steps"]
        training.update({n: v for n, v in curves.items() if n in training})

    def value(self, place: str) -> Any:
        """What is set in a place, `None` where there is nothing."""
        part, *path = place.split(".")
        if part == "task":
            found = self.task
        elif part in ("tokenizer", "generator"):
            stage = getattr(self, part)
            found = {**stage.arguments, **stage.training}
        for name in path:
            if not isinstance(found, dict):
                return None
            found = found.get("config", found).get(name)
        return found if path else None

    def finish(self) -> None:
        """Fills in what depends on other settings."""
        dataset = self.task["dataset"]
        grammar = caption_grammar(DATASETS.get(dataset, dataset))
        words = grammar_tokenizer(grammar)
        arguments = self.generator.arguments
        arguments["text_vocabulary_size"] = words.vocabulary_size
        arguments["text_length"] = arguments["text_length"] or words.max_length
        steps = self.generator.training["steps"]
        if arguments.get("order") == "permuted" and steps:
            # As published, of all steps.
            arguments["order_annealing"] = (steps // 2, steps * 3 // 4)


def _curves(steps: int) -> dict[str, int]:
    """How long the curves of a run of so many steps are.

    Those of the Gumbel quantizer are the published ones, made shorter.
    """
    return {
        "warmup_steps": min(100, steps // 10),
        "temperature_steps": max(1, steps * 3 // 4),
        "beta_steps": max(1, steps // 4),
    }


def _small() -> Recipe:
    kind, details = QUANTIZERS["orthogonal"]
    tokenizer = recipes.small_tokenizer(
        (kind, {**SIZE, **details}),
        {
            "learning_rate": 2e-3,
            "batch_size": 32,
            **_curves(4000),
            "pixel_loss": {"l2": 1.0, "l1": 0.2},
        },
    )
    generator = recipes.small_generator(
        {
            "text_vocabulary_size": None,  # those of the captions
            "text_length": None,
            "num_codes": 128,
            "order": "raster",
        },
        {"learning_rate": 5e-3, "steps": 5000, "text_to_image_share": 0.7},
    )
    return Recipe(tokenizer, generator, recipes.task_settings(MNIST64Task))


def _paper() -> Recipe:
    # As the published program sampled: of 256 classes the likeliest tenth.
    generator = Configuration.find("bidalle-mnist64", "generator")
    generator.training["sampling"] = {"temperature": 1.0, "top_k": 25}
    tokenizer = Configuration.find("te-vqgan-mnist64", "tokenizer")
    task = {
        **_small().task,
        # 60,000 digits in each of the five layouts.
        "train_pictures": 300_000,
        "layout_mix": (1, 1, 1, 1, 1),
        "crops": False,
    }
    return Recipe(tokenizer, generator, task, jit=False)


# To see that it runs.
SMOKE = {
    **recipes.SMOKE,
    "tokenizer.steps": 60,
    "tokenizer.reports": 2,
    "tokenizer.quantizer.num_codes": 32,
    "tokenizer.channels": 32,
    "tokenizer.hidden_channels": 32,
    "tokenizer.num_blocks": 1,
    "generator.steps": 40,
    "task.train_pictures": 512,
    "task.evaluation_pictures": 4,
    "task.classifier_steps": 60,
}


def _choose_tokenizer(recipe: Recipe, name: str) -> None:
    cls, arguments = TOKENIZERS[name]
    old = recipe.tokenizer
    kept = {n: old.arguments[n] for n in ("quantizer", "image_shape")}
    old.cls, old.arguments = cls, {**kept, **copy.deepcopy(arguments)}
    if name == "vqgan":
        old.training.update(_VQGAN_TRAINING)


def _choose_quantizer(recipe: Recipe, name: str) -> None:
    arguments, generator = recipe.tokenizer.arguments, recipe.generator
    size = {**SIZE, **arguments["quantizer"]["config"]}
    size = {n: size[n] for n in SIZE}
    kind, details = QUANTIZERS["ema" if name == "residual" else name]
    quantizer = serialized(kind, {**size, **details})
    if name == "residual":
        quantizer = serialized(
            quantizers.ResidualQuantizer,
            {"quantizer": quantizer, "code_depth": 4},
        )
        generator.cls = generators.RQTransformer
        generator.arguments.pop("patch_size", None)
        generator.arguments["head_depth"] = 2
    arguments["quantizer"] = quantizer


def _choose_patch_size(recipe: Recipe, size: int) -> None:
    generator = recipe.generator
    if generator.cls is generators.RQTransformer:
        return
    generator.cls = generators.PatchBidirectionalTransformer
    generator.arguments |= {"patch_size": size, "mask_padding": size == 1}
    if size == 1:
        generator.cls = generators.BidirectionalTransformer
        del generator.arguments["patch_size"]


def _choose_optimizer(recipe: Recipe, name: str) -> None:
    recipe.generator.training.update(copy.deepcopy(OPTIMIZERS[name]))


def _choose_gan_start(recipe: Recipe, step: int) -> None:
    weight = 0.8 if step >= 0 else 0.0
    recipe.tokenizer.training |= {
        "adversarial_weight": weight,
        "adversarial_start": max(0, step),
    }


# What changes several settings: a function, and the values if they are few.
CHOICES: dict[str, tuple[Any, tuple[str, ...] | None]] = {
    "tokenizer": (_choose_tokenizer, tuple(TOKENIZERS)),
    "quantizer": (_choose_quantizer, (*QUANTIZERS, "residual")),
    "patch_size": (_choose_patch_size, None),
    "optimizer": (_choose_optimizer, tuple(OPTIMIZERS)),
    "gan_start": (_choose_gan_start, None),
}
