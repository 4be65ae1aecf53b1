"""The models of `mnist64_bidirectional.py`, and how they are trained."""

import keras

from keras_bidalle import (
    generators,
    image_tokenizers,
    losses,
    quantizers,
    training,
)


def build_quantizer(settings):
    """The quantizer of a run, with a new codebook."""
    size = settings.num_codes, settings.code_dim
    if settings.quantizer == "gumbel":
        return quantizers.GumbelQuantizer(
            *size, kl_weight=settings.kl_weight, seed=settings.seed
        )
    start = dict(kmeans_steps=settings.kmeans_steps, seed=settings.seed)
    if settings.quantizer in ("ema", "residual"):
        codebook = quantizers.EMAVectorQuantizer(*size, **start)
        if settings.quantizer == "ema":
            return codebook
        return quantizers.ResidualQuantizer(codebook, settings.code_depth)
    return quantizers.OrthogonalVectorQuantizer(
        *size,
        orthogonality=settings.orthogonality,
        revival_steps=settings.revival_steps or None,
        **start,
    )


def build_tokenizer(settings):
    """The image tokenizer of a run, with new weights."""
    quantizer = build_quantizer(settings)
    if settings.tokenizer == "patch":
        return image_tokenizers.PatchVQGAN(
            quantizer,
            image_shape=(64, 64, 3),
            patch_size=settings.cell,
            channels=settings.channels,
            hidden_channels=settings.channels,
            num_blocks=settings.num_blocks,
        )
    return image_tokenizers.VQGAN(
        quantizer,
        image_shape=(64, 64, 3),
        channels=settings.channels,
        channel_multipliers=(1, 2, 2),
        num_res_blocks=settings.num_blocks,
        attention_resolutions=(16,),
        z_channels=settings.code_dim,
    )


def build_multi_level(settings):
    """The multi-level AugVAE of `mnist64_augvae.py`, with new weights."""
    return image_tokenizers.AugVAE(
        build_quantizer(settings),
        image_shape=(64, 64, 3),
        num_levels=2,
        channels=settings.channels,
        channel_multipliers=(1, 2, 4),
        next_channel_multipliers=(4, 4),
        num_res_blocks=settings.num_blocks,
        z_channels=settings.code_dim,
    )


def compile_tokenizer(tokenizer, settings):
    """Sets the losses and the optimizer of stage 1."""
    adversarial = None
    if settings.gan_start >= 0:
        adversarial = losses.AdversarialLoss(
            losses.PatchDiscriminator(num_layers=3, filters=64),
            loss="hinge",
            weight=0.8,
            start_step=settings.gan_start,
        )
    perceptual = losses.LPIPS(settings.lpips) if settings.lpips else None
    if perceptual is None:
        print("stage 1 trains without LPIPS (no --lpips file given)")
    if settings.tokenizer == "patch":
        pixels = {"l2": 1.0, "l1": settings.l1_weight}
        optimizer = cosine(
            keras.optimizers.AdamW,
            settings.tokenizer_learning_rate,
            settings.tokenizer_steps,
            beta_2=0.99,
            weight_decay=1e-4,
        )
    else:
        # As published: no schedule, and L1 alone.
        pixels = "l1"
        optimizer = keras.optimizers.Adam(
            settings.tokenizer_learning_rate, beta_1=0.5, beta_2=0.9
        )
    tokenizer.compile(
        optimizer,
        reconstruction_loss=pixels,
        perceptual=perceptual,
        adversarial=adversarial,
    )


def build_generator(settings, caption_tokenizer, image_tokenizer):
    """The generator of a run, with new weights."""
    has_stacks = len(image_tokenizer.code_shape) == 3
    arguments = dict(
        text_vocabulary_size=caption_tokenizer.vocabulary_size,
        text_length=caption_tokenizer.max_length,
        num_codes=image_tokenizer.num_codes,
        code_shape=image_tokenizer.code_shape,
        width=settings.width,
        depth=settings.depth,
        num_heads=settings.num_heads,
        head_dim=settings.head_dim,
        attention=settings.attention,
        image_positions=settings.image_positions,
        activation=settings.activation,
        normalization=settings.normalization,
        query_key_norm=settings.query_key_norm,
        use_bias=settings.activation != "squared_relu",
        rotary=settings.rotary,
        token_kernel_size=settings.token_kernel_size,
        layer_scale=settings.layer_scale or None,
        condition_dropout=settings.condition_dropout,
        # With one pad id a position nothing has to be hidden, and a mask
        # shared by all rows is cheaper.
        mask_padding=settings.patch_size == 1 and not has_stacks,
    )
    if has_stacks:
        return generators.RQTransformer(
            **arguments, head_depth=settings.head_depth
        )
    if settings.patch_size == 1:
        return generators.BidirectionalTransformer(**arguments)
    return generators.PatchBidirectionalTransformer(
        **arguments, patch_size=settings.patch_size
    )


def cosine(optimizer, peak, steps, **kwargs):
    """An optimizer with a short warm-up and a cosine to zero."""
    schedule = training.WarmupCosine(peak, steps, min(100, steps // 10))
    return optimizer(schedule, **kwargs)


def cooling(settings, tokenizer):
    """Callbacks of stage 1 that a Gumbel quantizer needs, for others none."""
    if settings.quantizer != "gumbel":
        return []
    # The published curves, over a run that is much shorter. The published
    # beta goes with a likelihood, here there is a squared error: the
    # curve ends at a weight of its own.
    steps = settings.tokenizer_steps
    values = settings.cell**2 * tokenizer.image_shape[-1]
    return training.gumbel_schedules(
        tokenizer,
        temperature_steps=max(1, steps * 3 // 4),
        beta=(0.0, values * settings.kl_weight),
        beta_steps=max(1, steps // 4),
    )
