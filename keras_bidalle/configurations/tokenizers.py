"""The published image tokenizers, as arguments of ours.

An argument that is itself to be made, a quantizer, is written as Keras
serializes it. `build` makes them.
"""

from keras_bidalle.configurations.building import serialized
from keras_bidalle.image_tokenizers import (
    RQVAE,
    VQGAN,
    AugVAE,
    DiscreteVAE,
    SingleLevelAugVAE,
)
from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    GumbelQuantizer,
    OrthogonalVectorQuantizer,
    ResidualQuantizer,
    RestartingVectorQuantizer,
    VectorQuantizer,
)


def vqgan_arguments(quantizer, side, multipliers, attention, **more):
    """Arguments of a VQGAN, of pictures and of attention of so many a side."""
    return {
        "quantizer": quantizer,
        "image_shape": (side, side, 3),
        "channels": 128,
        "channel_multipliers": multipliers,
        "num_res_blocks": 2,
        "attention_resolutions": (attention,),
        "z_channels": 256,
        **more,
    }


def _rq_vae(num_codes, attention):
    # arXiv 2203.01941, section 4 and the released configurations: 256x256
    # images, 8x8 places, four codes a place, one codebook.
    codebook = serialized(
        RestartingVectorQuantizer, {"num_codes": num_codes, "code_dim": 256}
    )
    stack = serialized(
        ResidualQuantizer,
        {"quantizer": codebook, "code_depth": 4, "shared": True},
    )
    multipliers = (1, 1, 2, 2, 4, 4)
    return RQVAE, vqgan_arguments(stack, 256, multipliers, attention)


# arXiv 2111.11133 and its released program: 8192 codes for all levels, a
# running mean without restarts.
_AUGVAE = {
    "quantizer": serialized(
        EMAVectorQuantizer,
        {
            "num_codes": 8192,
            "code_dim": 256,
            "kmeans_steps": 0,
            "revival_share": 0,
        },
    ),
    "image_shape": (256, 256, 3),
    "channels": 128,
    "channel_multipliers": (1, 2, 4),
    "next_channel_multipliers": (2, 4),
    "num_res_blocks": 2,
    "z_channels": 256,
}

TOKENIZERS = {
    # TE-VQGAN, arXiv 2112.00384, mnist64x64_vqgan.yaml: 16x16 codes.
    "te-vqgan-mnist64": (
        VQGAN,
        vqgan_arguments(
            serialized(
                OrthogonalVectorQuantizer,
                {"num_codes": 128, "code_dim": 256, "orthogonality": 10.0},
            ),
            *(64, (1, 2, 2), 16),
            num_res_blocks=1,
            encoder_padding_mode="replication",
        ),
    ),
    # VQGAN, arXiv 2012.09841, of ImageNet: 16x16 codes.
    "vqgan-imagenet-f16-16384": (
        VQGAN,
        vqgan_arguments(
            serialized(
                VectorQuantizer,
                {
                    "num_codes": 16384,
                    "code_dim": 256,
                    "commitment_weight": 1.0,
                    "codebook_weight": 0.25,
                },
            ),
            *(256, (1, 1, 2, 2, 4), 16),
            encoder_padding_mode="zero",
        ),
    ),
    "rq-vae-imagenet-8x8x4": _rq_vae(16384, 8),
    "rq-vae-ffhq": _rq_vae(2048, 16),
    "rq-vae-lsun": _rq_vae(16384, 8),
    "rq-vae-cc3m": _rq_vae(16384, 8),
    # AugVAE: 64x64, 32x32, 16x16 and 8x8 codes; then the 32x32 alone.
    "augvae-ml": (AugVAE, {"num_levels": 4, **_AUGVAE}),
    "augvae-sl": (SingleLevelAugVAE, {"num_levels": 2, **_AUGVAE}),
    # DALL-E, arXiv 2102.12092, appendix A: 32x32 codes.
    "dall-e-dvae": (
        DiscreteVAE,
        {
            "quantizer": serialized(
                GumbelQuantizer,
                {
                    "num_codes": 8192,
                    "code_dim": 128,
                    "input_dim": 2048,
                    "kl_weight": 6.6 / 192,
                },
            ),
            "image_shape": (256, 256, 3),
            "channels": 256,
            "channel_multipliers": (1, 2, 4, 8),
            "num_res_blocks": 2,
        },
    ),
}
