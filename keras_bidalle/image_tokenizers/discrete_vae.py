"""The discrete VAE of DALL-E: pictures to codes by a relaxed choice."""

import keras

from keras_bidalle.image_tokenizers.blocks import PACKAGE
from keras_bidalle.image_tokenizers.discrete_vae_layers import (
    DiscreteVAEDecoder,
    DiscreteVAEEncoder,
)
from keras_bidalle.image_tokenizers.image_tokenizer import ImageTokenizer
from keras_bidalle.quantizers import GumbelQuantizer


@keras.saving.register_keras_serializable(package=PACKAGE)
class DiscreteVAE(ImageTokenizer):
    """The first stage of DALL-E, with the published architecture.

    A `GumbelQuantizer` stands between encoder and decoder. Its projection is
    the published encoder's last 1x1 convolution, to the logits over codes;
    its codebook is the published decoder's first, of one-hot codes (with the
    bias in every code vector: the weights of a mixture add to 1). In
    training the decoder sees mixtures of all code vectors, with Gumbel
    noise; else the code of the largest logit, without noise.

    It is trained on the evidence lower bound: logit-Laplace likelihood and
    the divergence from even use of the codes, `beta` times. The temperature
    and the divergence's weight follow cosine schedules, those of
    `keras_bidalle.training.gumbel_schedules`, which gives the callbacks. As
    published: AdamW with betas (0.9, 0.999), weight decay 1e-4, a learning
    rate from 1e-4 to 1.25e-6 by a cosine over 1.2 million updates, an
    average of the weights of 0.999, and 3 million updates of 512 pictures.

    `encode`, `decode` and `reconstruct` take pictures (or codes) of any size
    whose sides f = 2**(group_count - 1) divides; `image_shape` is that of
    the pictures a generator makes. `reconstruct` shows the sigmoid of mu.

    Args:
        vocab_size: int, the number of codes.
        image_shape: tuple (H, W, C).
        n_hid: int, channels at full size; they double from group to group.
        n_blk_per_group: int, bottleneck blocks in each group.
        group_count: int, groups of blocks; the size halves between them.
        n_init: int, the length of a code vector.
        decoder_n_hid: int, the decoder's `n_hid`; `None` for the same.
        decoder_n_blk_per_group: int, likewise.
        beta: float, weight of the divergence in the evidence lower bound.
            It is divided by `f**2 * C` for the quantizer's `kl_weight`, a
            mean over codes beside a mean over values (see `LogitLaplace`).
            Schedules change it along the run.
        temperature: float, of the mixtures, to begin with.
        epsilon: float, between 0 and 0.5, the margin of `map_pixels`.
        seed: int or `None`, for the noise.
        dtype: str or policy. Logits, codes and likelihood are float32
            whatever it is.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    ```python
    tokenizer = DiscreteVAE(vocab_size=512, image_shape=(64, 64, 3), n_hid=64)
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
        vocab_size=8192,
        image_shape=(256, 256, 3),
        n_hid=256,
        n_blk_per_group=2,
        group_count=4,
        n_init=128,
        decoder_n_hid=None,
        decoder_n_blk_per_group=None,
        beta=6.6,
        temperature=1.0,
        epsilon=0.1,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        shared = {
            "group_count": group_count,
            "epsilon": epsilon,
            "dtype": dtype,
        }
        encoder = DiscreteVAEEncoder(
            n_hid, n_blk_per_group, name="encoder", **shared
        )
        decoder = DiscreteVAEDecoder(
            n_hid if decoder_n_hid is None else decoder_n_hid,
            n_blk_per_group
            if decoder_n_blk_per_group is None
            else decoder_n_blk_per_group,
            output_channels=image_shape[-1],
            name="decoder",
            **shared,
        )
        quantizer = GumbelQuantizer(
            vocab_size,
            n_init,
            input_dim=encoder.output_channels,
            temperature=temperature,
            kl_weight=beta / (encoder.factor**2 * image_shape[-1]),
            seed=seed,
            dtype=dtype,
        )
        super().__init__(
            encoder, quantizer, decoder, image_shape, dtype=dtype, **kwargs
        )
        self.vocab_size = vocab_size
        self.n_hid = n_hid
        self.n_blk_per_group = n_blk_per_group
        self.group_count = group_count
        self.n_init = n_init
        self.decoder_n_hid = decoder_n_hid
        self.decoder_n_blk_per_group = decoder_n_blk_per_group
        self.beta = beta
        self.temperature = temperature
        self.epsilon = epsilon
        self.seed = seed

    def compile(
        self, optimizer="adam", reconstruction_loss="logit_laplace", **kwargs
    ):
        """Says how `fit` trains the tokenizer.

        Args:
            optimizer: str or `keras.optimizers.Optimizer`.
            reconstruction_loss: `"logit_laplace"`, the negative
                log-likelihood, or a loss of pictures as in
                `ImageTokenizer.compile` (which leaves b untrained).
            **kwargs: as in `ImageTokenizer.compile`. A discriminator
                (`adversarial`) sees pictures alone, so it needs a loss of
                pictures beside it.

        Raises:
            ValueError: on a likelihood beside a discriminator, and as
                `ImageTokenizer.compile`.
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

    def statistics(self, images, training=None):
        """Gives what the likelihood of pictures is read from.

        Args:
            images: float tensor (B, H, W, C) in [-1, 1].
            training: bool or `None`. Codes are mixed only if `True`.

        Returns:
            float32 tensor (B, H, W, 2 C), mu then ln b of each value, as
            `keras_bidalle.losses.LogitLaplace` takes them.
        """
        latents = self.to_latents(images, training=training)
        quantized = self.quantizer(latents, training=training)
        return self.decoder.statistics(quantized, training=training)

    def _reconstruct(self, decoded, training):
        if self.adversarial is not None:
            return super()._reconstruct(decoded, training)
        # `compute_loss` follows in the same trace and takes them from here.
        self._statistics = self.decoder.statistics(decoded, training=training)
        return self.decoder.likelihood.pictures(self._statistics)

    def _get_pixel_loss(self, reconstruction_loss):
        if reconstruction_loss != "logit_laplace":
            return super()._get_pixel_loss(reconstruction_loss)
        likelihood = self.decoder.likelihood
        return lambda real, fake: likelihood(real, self._statistics)

    def compute_loss(self, *args, **kwargs):
        try:
            return super().compute_loss(*args, **kwargs)
        finally:
            self._statistics = None

    # Nothing in the architecture knows the size of a picture.
    def _shapes_of_images(self, shape):
        if len(shape) != 4 or shape[-1] != self.image_shape[-1]:
            return self.image_shape, self.code_shape
        factor, sides = self.encoder.factor, tuple(shape[1:3])
        if any(side < 1 or side % factor for side in sides):
            raise ValueError(
                f"`images` must have sides that are multiples of {factor}. "
                f"Received: shape={tuple(shape)}"
            )
        grid = tuple(side // factor for side in sides)
        return tuple(shape[1:]), grid

    def _shapes_of_codes(self, shape):
        if len(shape) != 3 or 0 in shape[1:]:
            return self.image_shape, self.code_shape
        sides = (side * self.encoder.factor for side in shape[1:])
        return (*sides, self.image_shape[-1]), tuple(shape[1:])

    def get_config(self):
        config = super().get_config()
        for name in (
            *("encoder", "quantizer", "decoder"),
            *("quant_conv", "post_quant_conv"),
        ):
            del config[name]
        return {
            **config,
            "vocab_size": self.vocab_size,
            "n_hid": self.n_hid,
            "n_blk_per_group": self.n_blk_per_group,
            "group_count": self.group_count,
            "n_init": self.n_init,
            "decoder_n_hid": self.decoder_n_hid,
            "decoder_n_blk_per_group": self.decoder_n_blk_per_group,
            "beta": self.beta,
            "temperature": self.temperature,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }
