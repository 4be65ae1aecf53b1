"""Converts the discriminators that VQGAN checkpoints were trained against."""

from typing import Any

from keras_bidalle.converters.configs import model_section, required
from keras_bidalle.converters.state_dict import unwrapped
from keras_bidalle.converters.weights import StateDictReader
from keras_bidalle.losses import AdversarialLoss, PatchDiscriminator
from keras_bidalle.messages import shown

_PREFIX = "loss.discriminator.main."
_ANCHORS = (f"{_PREFIX}0.weight",)


def convert_adversarial_loss(
    state_dict: dict[str, Any], config: dict[str, Any]
) -> Any:
    """Builds the adversarial loss of a VQGAN or TE-VQGAN checkpoint.

    Its discriminator has the checkpoint's weights, so that training can go
    on where the published program stopped.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it.
        config: dict, the published configuration or its model section, with
            the loss's options in `lossconfig` (or in `disc`, with
            `num_layers`, `ndf`, `disc_weight` and `loss`).

    Returns:
        `keras_bidalle.losses.AdversarialLoss`, for `compile` of the
        converted tokenizer.

    Raises:
        ValueError: when the checkpoint has no discriminator, the
            configuration asks for an unknown one, or keys do not fit.

    Example:

    ```python
    state_dict = read_state_dict("last.ckpt")
    tokenizer = convert_te_vqgan(state_dict, config)
    tokenizer.compile(
        "adam", adversarial=convert_adversarial_loss(state_dict, config)
    )
    ```
    """
    config = model_section(config)
    options = _options(config)
    for name in ("use_actnorm", "disc_conditional"):
        if options.get(name):
            raise ValueError(
                f"A discriminator with `{name}` is not supported. "
                f"Received: {name}={shown(options[name])}"
            )
    channels = required(
        required(config, "ddconfig"), "in_channels", "`ddconfig`"
    )
    channels = options.get("disc_in_channels", channels)
    discriminator = PatchDiscriminator(
        num_layers=options.get("disc_num_layers", 3),
        filters=options.get("disc_ndf", 64),
    )
    discriminator.build((None, None, None, channels))

    reader = StateDictReader(
        {
            name.removeprefix(_PREFIX): array
            for name, array in unwrapped(state_dict, _ANCHORS).items()
            if name.startswith(_PREFIX)
        },
        "a discriminator",
    )
    reader.convolution("0", discriminator.convolutions[0])
    position = 2  # After the first convolution and its activation.
    for convolution, norm in zip(
        discriminator.convolutions[1:], discriminator.norms, strict=True
    ):
        reader.convolution(f"{position}", convolution)
        reader.batch_norm(f"{position + 1}", norm)
        position += 3
    reader.convolution(f"{position}", discriminator.logits)
    reader.finish()
    return AdversarialLoss(
        discriminator,
        loss=options.get("disc_loss", "hinge"),
        weight=options.get("disc_weight", 1.0)
        * options.get("disc_factor", 1.0),
        start_step=options.get("disc_start", 0),
    )


def _options(config):
    """The options of the published loss, under that program's names."""
    if "disc" in config:
        options = config["disc"]
        names = {
            "num_layers": "disc_num_layers",
            "ndf": "disc_ndf",
            "loss": "disc_loss",
        }
        return {names.get(name, name): v for name, v in options.items()}
    section = config.get("lossconfig") or {}
    return section.get("params") or {}
