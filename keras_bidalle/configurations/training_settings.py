"""How the published models were trained, as far as is known.

Settings are plain values, which the training program turns into optimizers,
losses and crops. What a comment says was done otherwise, the program does not
do.
"""

import copy
import math
from typing import Any

from keras_bidalle.configurations import sizes
from keras_bidalle.messages import shown

# What both stages know; and what is taken where nothing was published.
_SHARED = {
    "optimizer": "adam",  # of `training.OPTIMIZERS`
    "optimizer_arguments": {},  # that other optimizers do not have
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,  # of all the published programs
    "weight_decay": 0.0,
    "clip_norm": None,
    "schedule": "constant",  # or "cosine"
    # Of the cosine: how many follow one another, what they fall to, and
    # after how many steps the rate stays there (`None`: at the run's end).
    "schedule_cycles": 1,
    "final_learning_rate": 0.0,
    "schedule_steps": None,
    # A line up before either; where `warmup_epochs` is given, that counts.
    "warmup_steps": 0,
    "warmup_epochs": None,
    "average_momentum": None,  # of the weights
    "batch_size": 64,
    # One of the two.
    "epochs": 10,
    "steps": None,
    # How often figures and samples are logged; `None`: by the run's length.
    "reports": None,
    # Where images are held out: reports between figures of them, the figure
    # that the weights are kept by, such as "loss" or "psnr", and how many
    # that are no better end the run.
    "evaluate_every": None,
    "keep_best": None,
    "patience": None,
    # Further figures, of so many images (256): distances by extractors, as
    # `evaluation.open_extractor` names them, and whether captions are scored.
    "extractors": None,
    "judged_images": None,
    # A class of `keras_bidalle.data`, and its arguments but the size. A
    # generator's images are made into codes once, cut as for evaluation,
    # so that of a crop only its scaling counts there.
    "crop": "CenterCrop",
    "crop_arguments": {},
}
_TOKENIZER = {
    **_SHARED,
    "pixel_loss": "l1",
    "perceptual_weight": 1.0,
    # 0: no discriminator.
    "adversarial_weight": 0.0,
    "adversarial_loss": "hinge",
    "adversarial_start": 0,
    "discriminator_layers": 3,
    "discriminator_filters": 64,
    # Of Gumbel quantizers: as `gumbel_schedules` has them.
    "temperature_steps": None,
    "beta_steps": None,
    # Parts that stay as they are, such as ["encoder", "quantizer"].
    "frozen": None,
    # "patches": a `PatchVQGAN` starts from k-means of the pictures' patches.
    "codebook_start": None,
}
_GENERATOR = {
    **_SHARED,
    "text_to_image_share": 0.5,
    "bpe_dropout": 0.0,
    "caption_figures": None,
    # Arguments of `text_to_image` for images that are shown or measured.
    "sampling": {},
}
# Settings that runs of earlier versions do not have: where they are not used
# they are not written down, or such a run could not go on.
LATER = (
    *("frozen", "codebook_start"),
    *("extractors", "caption_figures", "judged_images"),
)
# What may be frozen.
_PARTS = ("encoder", "quantizer", "decoder")
# Settings that count something.
_WHOLE = {
    *("batch_size", "epochs", "steps", "reports"),
    *("evaluate_every", "patience", "judged_images"),
    *("warmup_steps", "schedule_cycles", "schedule_steps"),
    *("temperature_steps", "beta_steps", "adversarial_start"),
    *("discriminator_layers", "discriminator_filters"),
}
# And those that are parts of a whole.
_SHARES = {
    *("beta_1", "beta_2", "average_momentum"),
    *("text_to_image_share", "bpe_dropout"),
}

# Of Adam, in all tokenizers that were trained against a discriminator.
_GAN_BETAS = {"beta_1": 0.5, "beta_2": 0.9}
# arXiv 2203.01941: Adam, 128 images, no decay of the rate.
_RQ_VAE = {
    **_GAN_BETAS,
    "learning_rate": 4e-5,
    "batch_size": 128,
    "pixel_loss": "l2",
    "adversarial_weight": 0.75,
    "discriminator_layers": 2,
    "crop": "RandomCrop",
    "crop_arguments": {"flip": True},
}
# arXiv 2111.11133: MSE and a little LPIPS, no discriminator. Its program
# halved the rate when the validation loss had not fallen for 10 epochs; in
# the 30 epochs of the run that is twice at most, and the rate is constant
# here.
_AUGVAE = {
    "optimizer": "adamw",
    "learning_rate": 3.6e-5,  # 4.5e-6 an image of the batch
    "weight_decay": 1e-5,
    "batch_size": 8,
    "epochs": 30,
    "pixel_loss": "l2",
    "perceptual_weight": 0.1,
    "crop": "RandomResizedCrop",
}

TOKENIZER_TRAINING: dict[str, dict[str, Any]] = {
    "te-vqgan-mnist64": {
        **_GAN_BETAS,
        "learning_rate": 1.536e-3,
        "batch_size": 192,
        "epochs": 40,
        "adversarial_weight": 0.8,
        "adversarial_start": 30001,
    },
    # The rate and the betas of the paper's program, 4.5e-6 an image.
    "vqgan-imagenet-f16-16384": {
        **_GAN_BETAS,
        "learning_rate": 5.4e-5,
        "batch_size": 12,
        "adversarial_weight": 0.8,
        "adversarial_start": 250001,
        "crop": "RandomCrop",
    },
    "rq-vae-imagenet-8x8x4": {
        **_RQ_VAE,
        "epochs": 10,
        "warmup_epochs": 0.5,
    },
    "rq-vae-ffhq": {
        **_RQ_VAE,
        "epochs": 150,
        "warmup_epochs": 5,
        "crop": "RandomResizedCrop",
    },
    # From ImageNet's weights, which is what makes an epoch enough.
    "rq-vae-lsun": {**_RQ_VAE, "epochs": 1},
    # What it was trained with is not known: as ImageNet's.
    "rq-vae-cc3m": {**_RQ_VAE, "epochs": 10},
    "augvae-ml": _AUGVAE,
    "augvae-sl": _AUGVAE,
    # arXiv 2102.12092, appendix A.2: the rate falls for 1.2 of the 3 million
    # updates and stays there.
    "dall-e-dvae": {
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "final_learning_rate": 1.25e-6,
        "schedule_steps": 1_200_000,
        "average_momentum": 0.999,
        "batch_size": 512,
        "steps": 3_000_000,
        "pixel_loss": "logit_laplace",
        "perceptual_weight": 0.0,
        "temperature_steps": 150_000,
        "beta_steps": 5_000,
        "crop": "DALLECrop",
        "crop_arguments": {"flip": True},
    },
}

# arXiv 2203.01941: AdamW, a cosine to 0, no warm-up. How its images were
# cut for this stage is not known, and the program was not released: the
# middle, as for evaluation.
_RQ_TRANSFORMER = {
    "optimizer": "adamw",
    "learning_rate": 5e-4,
    "beta_2": 0.95,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "schedule": "cosine",
    "batch_size": 2048,
    "epochs": 100,
}
# The released program of arXiv 2112.00384: six cosines, each from the top.
# It takes two steps a batch, first with the image before its caption and
# then behind; here both halves of a batch are in one step.
_BIDALLE = {
    "clip_norm": 1.0,
    "schedule": "cosine",
    "schedule_cycles": 6,
    "warmup_epochs": 1,
    "batch_size": 200,
    "epochs": 20,
}
GENERATOR_TRAINING = {
    "bidalle-mnist64": _BIDALLE,
    "bidalle-fashion64": _BIDALLE,
    # arXiv 2102.12092, appendix B.2. The rate was halved five times, when
    # the loss no longer fell; it is constant here.
    "dalle-12b": {
        "optimizer": "adamw",
        "learning_rate": 4.5e-4,
        "beta_2": 0.96,
        "weight_decay": 4.5e-2,
        "clip_norm": 4.0,
        "warmup_steps": 5000,
        # 0.999 at every 25th update, in all of them.
        "average_momentum": 0.99996,
        "batch_size": 1024,
        "steps": 430_000,
        "bpe_dropout": 0.1,
        "crop": "DALLECrop",
        "crop_arguments": {"scale": [1, 9 / 8], "offset": [3 / 8, 5 / 8]},
    },
    "rq-transformer-ffhq-355m": {
        **_RQ_TRANSFORMER,
        "batch_size": 128,
        "epochs": 200,
    },
    "rq-transformer-church-370m": {
        **_RQ_TRANSFORMER,
        "batch_size": 256,
        "epochs": 300,
    },
    "rq-transformer-lsun-612m": _RQ_TRANSFORMER,
    "rq-transformer-imagenet-480m": _RQ_TRANSFORMER,
    "rq-transformer-imagenet-821m": _RQ_TRANSFORMER,
    "rq-transformer-imagenet-1.4b": _RQ_TRANSFORMER,
    "rq-transformer-imagenet-3.8b": _RQ_TRANSFORMER,
    "rq-transformer-cc3m-654m": {**_RQ_TRANSFORMER, "bpe_dropout": 0.1},
}


def tokenizer_training(name: str | None = None) -> dict[str, Any]:
    """How an image tokenizer is trained, one of `tokenizer_names()`.

    Returns:
        dict of plain values, free to be changed: the published settings, and
        defaults for what is not known. Other names have the defaults alone.
    """
    known = {**TOKENIZER_TRAINING, **sizes.TOKENIZER_TRAINING}
    given = known.get(name or "", {})
    return copy.deepcopy({**_TOKENIZER, **given})


def generator_training(name: str | None = None) -> dict[str, Any]:
    """How a generator is trained: as `tokenizer_training`."""
    known = {**GENERATOR_TRAINING, **sizes.GENERATOR_TRAINING}
    given = known.get(name or "", {})
    return copy.deepcopy({**_GENERATOR, **given})


def check_training(settings: dict[str, Any]) -> None:
    """Raises a `ValueError` if a setting has a value that it cannot have."""
    defaults = {**_TOKENIZER, **_GENERATOR}
    for name, value in settings.items():
        default = defaults[name]
        if value is None and (default is None or name in ("epochs", "steps")):
            continue
        if name == "pixel_loss":  # Several, with their weights.
            kind, right = "a word or an object", isinstance(value, (str, dict))
        elif name == "frozen":
            kind = f"a list of {', '.join(_PARTS)}"
            right = isinstance(value, (list, tuple)) and all(
                part in _PARTS for part in value
            )
        elif name == "codebook_start":
            kind, right = '"patches"', value == "patches"
        elif name == "extractors":
            kind = "a list of names of extractors"
            right = isinstance(value, (list, tuple)) and all(
                isinstance(part, str) for part in value
            )
        elif name == "caption_figures":
            kind, right = "true or false", isinstance(value, bool)
        elif name == "keep_best":
            kind, right = "a word", isinstance(value, str)
        elif isinstance(default, (str, dict)):
            kind = "a word" if isinstance(default, str) else "an object"
            right = isinstance(value, type(default))
        elif name in _WHOLE:
            positive = (
                *("batch_size", "schedule_cycles", "reports"),
                *("evaluate_every", "patience"),
            )
            least = 2 if name == "judged_images" else name in positive
            kind = f"an integer of at least {least:d}"
            right = type(value) is int and value >= least
        else:
            most = 1 if name in _SHARES else math.inf
            kind = "a number from 0" + (" to 1" if most == 1 else "")
            right = type(value) in (int, float) and 0 <= value <= most
            right = right and math.isfinite(value)
        if not right:
            raise ValueError(
                f"The training's `{name}` must be {kind}. "
                f"Received: {name}={shown(value)}"
            )
    if settings["steps"] is None and settings["epochs"] is None:
        raise ValueError("One of `steps` and `epochs` must be given.")
