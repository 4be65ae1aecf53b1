"""The settings of `mnist64_bidirectional.py`: three scales of one run."""

import argparse
import dataclasses

from wiring import add_distribution


def option(default, help, **kwargs):
    return dataclasses.field(default=default, metadata={"help": help, **kwargs})


@dataclasses.dataclass
class Settings:
    """What a run depends on; every field is a command-line option."""

    dataset: str = option(
        "mnist", "items on the canvas", choices=("mnist", "fashion")
    )
    seed: int = option(0, "seed of weights, data and sampling")
    precision: str = option(
        "auto",
        "dtype policy of training (what is saved computes in float32); auto: "
        "mixed_bfloat16 where the processor multiplies it, else float32",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    jit: bool = option(
        True,
        "on torch, compile stage 2's training step where there is a C++ "
        "compiler (a minute once, then half as fast again)",
    )

    # Stage 1: the image tokenizer.
    tokenizer: str = option(
        "patch",
        "patch: local and fast on CPUs; vqgan: the published architecture",
        choices=("patch", "vqgan"),
    )
    quantizer: str = option(
        "orthogonal",
        "orthogonal: TE-VQGAN's; ema: a codebook of running means; "
        "residual: several of its codes a position, RQ-VAE's; gumbel: "
        "DALL-E's relaxed choice",
        choices=("orthogonal", "ema", "residual", "gumbel"),
    )
    code_depth: int = option(4, "codes a position, D (residual only)")
    cell: int = option(
        4, "pixels on a side of one code, or of one stack of codes (patch only)"
    )
    orthogonality: float = option(
        10.0, "lambda of the orthogonal codebook; 0 gives the plain VQGAN"
    )
    kl_weight: float = option(
        2e-3, "weight of the codes' divergence from even use (gumbel only)"
    )
    num_codes: int = option(128, "K, the size of the codebook")
    code_dim: int = option(128, "channels of a code")
    channels: int = option(96, "channels of the tokenizer's first level")
    num_blocks: int = option(2, "residual blocks a level")
    crops: bool = option(
        True, "train the tokenizer on 32x32 single-item crops (patch only)"
    )
    kmeans_steps: int = option(
        10, "k-means iterations that start the codebook; 0 for random codes"
    )
    revival_steps: int = option(
        100,
        "steps after which an unused code is replaced; 0 for never "
        "(orthogonal only)",
    )
    tokenizer_steps: int = option(4000, "training steps of stage 1")
    tokenizer_batch_size: int = option(32, "pictures a step in stage 1")
    tokenizer_learning_rate: float = option(
        2e-3, "of stage 1: a cosine's peak (patch), constant (vqgan)"
    )
    l1_weight: float = option(0.2, "weight of L1 beside L2 (patch)")
    gan_start: int = option(
        -1, "step from which the discriminator counts; -1: no discriminator"
    )
    lpips: str = option("", "file of LPIPS weights; none: no perceptual loss")

    # Stage 2: the generator.
    train_pictures: int = option(60_000, "pictures whose codes are cached")
    layout_mix: tuple = option(
        (1, 1, 1, 2, 3),
        "how often the five layouts come in training; pictures of many items "
        "teach more for the same cost",
        nargs=5,
        type=int,
    )
    patch_size: int = option(
        2, "codes grouped into one position are patch_size x patch_size"
    )
    width: int = option(256, "channels of the transformer")
    depth: int = option(6, "blocks of the transformer")
    num_heads: int = option(4, "attention heads")
    head_dim: int = option(64, "channels of a head")
    attention: tuple = option(
        ("full",), "kinds of attention, repeated over the blocks", nargs="+"
    )
    image_positions: str = option(
        "learned", "2D position embeddings", choices=("learned", "fixed")
    )
    activation: str = option(
        "squared_relu",
        "of the feed-forward",
        choices=("gelu", "geglu", "squared_relu"),
    )
    normalization: str = option(
        "layer", "of the blocks", choices=("rms", "layer")
    )
    query_key_norm: bool = option(True, "normalise queries and keys")
    rotary: bool = option(True, "rotary positions beside the embeddings")
    token_kernel_size: int = option(
        5, "positions of the convolution over the embedded row; 1: none"
    )
    layer_scale: float = option(0.0, "start of the layer scale; 0: none")
    condition_dropout: float = option(
        0.1, "share of rows trained without their condition, for guidance"
    )
    text_to_image_share: float = option(
        0.7, "share of text-to-image rows in a batch"
    )
    generator_steps: int = option(5000, "training steps of stage 2")
    generator_batch_size: int = option(32, "rows a step in stage 2")
    generator_learning_rate: float = option(5e-3, "peak; cosine to 0")
    optimizer: str = option("muon", "of stage 2", choices=("muon", "adam"))

    head_depth: int = option(
        2, "blocks of the depth transformer (residual only)"
    )

    start_from: str = option(
        "",
        "folder of an earlier run whose tokenizer is used as it is and whose "
        "generator is trained on",
    )

    stages: str = option(
        "both",
        "tokenizer: stop after stage 1",
        choices=("both", "tokenizer"),
    )

    # What is looked at.
    epochs: int = option(
        10, "times in each stage that figures and samples are logged"
    )
    temperature: float = option(1.0, "of sampled pictures")
    top_k: int = option(0, "codes kept when sampling pictures; 0: all")
    guidance_scale: float = option(2.0, "of sampled pictures; 1: none")
    evaluation_pictures: int = option(
        100, "pictures a layout in each split's evaluation"
    )
    classifier_steps: int = option(1500, "training steps of the judge")


PRESETS = {
    "smoke": Settings(
        tokenizer_steps=60,
        generator_steps=40,
        classifier_steps=60,
        train_pictures=512,
        num_codes=32,
        channels=32,
        num_blocks=1,
        width=64,
        depth=2,
        num_heads=2,
        head_dim=32,
        epochs=2,
        evaluation_pictures=4,
        jit=False,
    ),
    "small": Settings(),
    "paper": Settings(
        tokenizer="vqgan",
        num_codes=128,
        code_dim=256,
        channels=128,
        num_blocks=1,
        crops=False,
        kmeans_steps=0,
        revival_steps=0,
        tokenizer_steps=62_500,
        tokenizer_batch_size=192,
        tokenizer_learning_rate=1.536e-3,
        gan_start=30_001,
        train_pictures=300_000,
        patch_size=1,
        width=256,
        depth=8,
        num_heads=8,
        head_dim=64,
        layout_mix=(1, 1, 1, 1, 1),
        attention=("full", "axial_row", "axial_column", "conv_like"),
        image_positions="fixed",
        activation="geglu",
        query_key_norm=False,
        rotary=False,
        token_kernel_size=1,
        layer_scale=0.1,
        jit=False,
        text_to_image_share=0.5,
        generator_steps=30_000,
        generator_batch_size=200,
        generator_learning_rate=1e-3,
        optimizer="adam",
        epochs=20,
        guidance_scale=1.0,
        top_k=25,
    ),
}


def parse(arguments=None):
    """Reads the command line.

    Returns:
        Tuple of `Settings` and the namespace of the other options.
    """
    parser = argparse.ArgumentParser(
        description=(
            "From digits to both directions: makes the MNIST64 task, trains "
            "a TE-VQGAN and a bidirectional generator on its codes, "
            "generates pictures from captions and captions from pictures, "
            "and measures both."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="small",
        help="smoke: minutes, to see that it runs; small: made for 2 CPU "
        "cores; paper: the published configuration, made for a GPU",
    )
    parser.add_argument(
        "--name", default=None, help="name of the run; the preset's if none"
    )
    parser.add_argument(
        "--output", default="runs", help="folder that runs are kept in"
    )
    parser.add_argument(
        "--data-dir",
        default=None,
        help="folder with IDX files or a prepared TensorFlow Datasets "
        "folder; none: TensorFlow Datasets downloads",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was cut"
    )
    add_distribution(parser)
    for field in dataclasses.fields(Settings):
        details = dict(field.metadata)
        kind = (
            field.type if isinstance(field.type, type) else type(field.default)
        )
        flag = "--" + field.name.replace("_", "-")
        presets = ", ".join(
            f"{name}: {_shown(getattr(preset, field.name))}"
            for name, preset in PRESETS.items()
        )
        details["help"] = f"{details['help']} ({presets})".strip()
        if kind is bool:
            details["action"] = argparse.BooleanOptionalAction
        elif kind is not tuple:
            details["type"] = kind
        parser.add_argument(flag, default=argparse.SUPPRESS, **details)
    given = vars(parser.parse_args(arguments))
    names = {field.name for field in dataclasses.fields(Settings)}
    chosen = {name: given.pop(name) for name in list(given) if name in names}
    for name, value in chosen.items():
        if isinstance(value, list):
            chosen[name] = tuple(value)
    settings = dataclasses.replace(PRESETS[given["preset"]], **chosen)
    return settings, argparse.Namespace(**given)


def _shown(value):
    if isinstance(value, tuple):
        return " ".join(str(part) for part in value)
    return value
