"""Image tokenizers: images to grids of discrete codes and back."""

from keras_bidalle.image_tokenizers.augvae import AugVAE, SingleLevelAugVAE
from keras_bidalle.image_tokenizers.discrete_vae import DiscreteVAE
from keras_bidalle.image_tokenizers.discrete_vae_layers import (
    DiscreteVAEDecoder,
    DiscreteVAEEncoder,
)
from keras_bidalle.image_tokenizers.exporting import CodeDecoder, CodeEncoder
from keras_bidalle.image_tokenizers.image_tokenizer import ImageTokenizer
from keras_bidalle.image_tokenizers.open_magvit2 import OpenMAGVIT2
from keras_bidalle.image_tokenizers.open_magvit2_layers import (
    OpenMAGVIT2Decoder,
    OpenMAGVIT2Encoder,
)
from keras_bidalle.image_tokenizers.patch_start import start_from_patches
from keras_bidalle.image_tokenizers.patch_vqgan import PatchVQGAN
from keras_bidalle.image_tokenizers.rqvae import RQVAE
from keras_bidalle.image_tokenizers.vqgan import VQGAN
from keras_bidalle.image_tokenizers.vqgan_layers import (
    VQGANDecoder,
    VQGANEncoder,
)

__all__ = [
    "AugVAE",
    "CodeDecoder",
    "CodeEncoder",
    "DiscreteVAE",
    "DiscreteVAEDecoder",
    "DiscreteVAEEncoder",
    "ImageTokenizer",
    "OpenMAGVIT2",
    "OpenMAGVIT2Decoder",
    "OpenMAGVIT2Encoder",
    "PatchVQGAN",
    "RQVAE",
    "SingleLevelAugVAE",
    "VQGAN",
    "VQGANDecoder",
    "VQGANEncoder",
    "start_from_patches",
]
