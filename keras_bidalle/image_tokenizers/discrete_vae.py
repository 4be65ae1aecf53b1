"""The discrete VAE of DALL-E: images to codes by a relaxed choice."""

from typing import Any

import keras

from keras_bidalle.image_tokenizers.blocks import PACKAGE
from keras_bidalle.image_tokenizers.discrete_vae_layers import (
    DiscreteVAEDecoder,
    DiscreteVAEEncoder,
    convolution,
    with_new_names,
)
from keras_bidalle.image_tokenizers.image_tokenizer import ImageTokenizer
from keras_bidalle.image_tokenizers.sizes import check_given
from keras_bidalle.quantizers import GumbelQuantizer
from keras_bidalle.validation import as_integers

# The names of arguments in configurations of before.
_OLD_NAMES = {
    "n_hid": "channels",
    "n_blk_per_group": "num_res_blocks",
    "decoder_n_hid": "decoder_channels",
    "decoder_n_blk_per_group": "decoder_num_res_blocks",
}


@keras.saving.register_keras_serializable(package=PACKAGE)
class DiscreteVAE(ImageTokenizer):
    """The first stage of DALL-E, with the published architecture.

    Published with a `GumbelQuantizer` between encoder and decoder. Its
    projection is the published encoder's last 1x1 convolution, to the logits
    over codes; its codebook is the published decoder's first, of one-hot codes
    (with the bias in every code vector: the weights of a mixture add to 1). In
    training the decoder sees mixtures of all code vectors, with Gumbel noise;
    else the code of the largest logit, without noise.

    It is trained on the evidence lower bound: logit-Laplace likelihood and
    the divergence from even use of the codes, `beta` times. The temperature
    and the divergence's weight follow cosine schedules, those of
    `keras_bidalle.training.gumbel_schedules`, which gives the callbacks. As
    published: AdamW with betas (0.9, 0.999), weight decay 1e-4, a learning
    rate from 1e-4 to 1.25e-6 by a cosine over 1.2 million updates, an
    average of the weights of 0.999, and 3 million updates of 512 images.

    `encode`, `decode` and `reconstruct` take images (or codes) of any size
    whose sides f = 2**(number of groups - 1) divides; `image_shape` is that of
    the images a generator makes. `reconstruct` shows the sigmoid of mu.

    Args:
        quantizer: a `keras_bidalle.quantizers.Quantizer`, published as
            `GumbelQuantizer(8192, 128, input_dim=2048, kl_weight=6.6 / 192)`.
            `input_dim` is the encoder's width, `channels *
            channel_multipliers[-1]`, and `kl_weight` is `beta / (f**2 * C)`, a
            mean over codes beside a mean over values (see `LogitLaplace`). Of
            a quantizer with another `input_dim` a 1x1 convolution comes
            before it.
        image_shape: tuple (H, W, C).
        channels: int, what the multipliers multiply.
        channel_multipliers: tuple of int, one for each group of blocks; the
            size halves between groups.
        num_res_blocks: int, bottleneck blocks in each group.
        decoder_channels: int, the decoder's `channels`; `None` for the same.
        decoder_num_res_blocks: int, likewise.
        epsilon: float, between 0 and 0.5, the margin of `map_pixels`.
        dtype: str or policy. Logits, codes and likelihood are float32
            whatever it is.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    ```python
    tokenizer = DiscreteVAE(
        GumbelQuantizer(512, 128, input_dim=512, kl_weight=6.6 / 192),
        image_shape=(64, 64, 3),
        channels=64,
    )
    tokenizer.compile(keras.optimizers.AdamW(1e-4, weight_decay=1e-4))
    schedules = gumbel_schedules(tokenizer, temperature_steps=10_000)
    tokenizer.fit(images, epochs=10, callbacks=schedules)
    tokenizer.encode(images)  # (B, 8, 8) int32
    ```

    Reference:
        [Zero-Shot Text-to-Image Generation](
        https://arxiv.org/abs/2102.12092), section 2.1 and appendix A.
    """

    def __init__(
        self,
        quantizer: Any,
        image_shape: Any = (256, 256, 3),
        channels: int = 256,
        channel_multipliers: Any = (1, 2, 4, 8),
        num_res_blocks: int = 2,
        decoder_channels: int | None = None,
        decoder_num_res_blocks: int | None = None,
        epsilon: float = 0.1,
        dtype: Any = None,
        name: Any = None,
        trainable: bool = True,
    ) -> None:
        check_given(quantizer, image_shape)
        groups = {
            "channels": channels,
            "channel_multipliers": as_integers(
                channel_multipliers=channel_multipliers
            ),
            "num_res_blocks": num_res_blocks,
            "epsilon": epsilon,
        }
        decoder_groups = {
            "channels": decoder_channels,
            "num_res_blocks": decoder_num_res_blocks,
        }
        encoder = DiscreteVAEEncoder(name="encoder", dtype=dtype, **groups)
        decoder = DiscreteVAEDecoder(
            output_channels=image_shape[-1],
            name="decoder",
            dtype=dtype,
            **groups
            | {k: v for k, v in decoder_groups.items() if v is not None},
        )
        quant_conv = None
        if quantizer.input_dim != encoder.output_channels:
            quant_conv = convolution(quantizer.input_dim, 1, dtype)
        super().__init__(
            encoder,
            quantizer,
            decoder,
            image_shape,
            quant_conv=quant_conv,
            dtype=dtype,
            name=name,
            trainable=trainable,
        )
        self._keep(
            **groups,
            decoder_channels=decoder_channels,
            decoder_num_res_blocks=decoder_num_res_blocks,
        )

    def compile(  # type: ignore[override]
        self,
        optimizer: Any = "adam",
        reconstruction_loss: Any = "logit_laplace",
        **kwargs: Any,
    ) -> Any:
        """As `ImageTokenizer.compile`.

        Args:
            optimizer: str or `keras.optimizers.Optimizer`.
            reconstruction_loss: `"logit_laplace"`, the negative
                log-likelihood, or a loss of images (which leaves b
                untrained). A discriminator needs one of these.
            **kwargs: as in `ImageTokenizer.compile`.

        Raises:
            ValueError: on a likelihood beside a discriminator.
        """
        adversarial = kwargs.get("adversarial")
        if reconstruction_loss == "logit_laplace" and adversarial is not None:
            raise ValueError(
                "`adversarial` needs a `reconstruction_loss` of pictures, "
                "such as 'l1'. Received: reconstruction_loss='logit_laplace'"
            )
        super().compile(
            optimizer, reconstruction_loss=reconstruction_loss, **kwargs
        )

    def statistics(self, images: Any, training: bool | None = None) -> Any:
        """What `keras_bidalle.losses.LogitLaplace` takes, mu then ln b.

        Args:
            images: float tensor (B, H, W, C) in [-1, 1].
            training: bool or `None`. Codes are mixed only if `True`.

        Returns:
            float32 tensor (B, H, W, 2 C).
        """
        latents = self.to_latents(images, training=training)
        quantized = self.quantizer(latents, training=training)
        return self.decoder.statistics(quantized, training=training)

    @classmethod
    def current_arguments(cls, config: Any) -> Any:
        config = with_new_names(config, _OLD_NAMES)
        if "vocab_size" in config:
            config["quantizer"] = _quantizer_of_before(config)
        return config


def _quantizer_of_before(config):
    """Takes out of a configuration what a quantizer was made of.

    Before tokenizers were given their quantizer, this one made it.
    """
    # The configuration of a run has what was given, not the defaults.
    multipliers = config.get("channel_multipliers", (1, 2, 4, 8))
    factor = 2 ** (len(multipliers) - 1)
    values = factor**2 * config["image_shape"][-1]
    return GumbelQuantizer(
        config.pop("vocab_size"),
        config.pop("n_init", 128),
        input_dim=config.get("channels", 256) * multipliers[-1],
        temperature=config.pop("temperature", 1.0),
        kl_weight=config.pop("beta", 6.6) / values,
        seed=config.pop("seed", None),
        dtype=keras.dtype_policies.get(config.get("dtype")),
    )
