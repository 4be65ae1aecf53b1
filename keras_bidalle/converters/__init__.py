"""Published checkpoints to our models, without executing what is in them."""

from keras_bidalle.converters.augvae import convert_augvae
from keras_bidalle.converters.bidalle import convert_bidalle
from keras_bidalle.converters.captions import read_vocabulary
from keras_bidalle.converters.configs import read_config
from keras_bidalle.converters.convert import convert, convert_with_tokenizer
from keras_bidalle.converters.dall_e import convert_dall_e
from keras_bidalle.converters.discriminator import convert_adversarial_loss
from keras_bidalle.converters.extractors import (
    efficientnet_lite0_arrays,
    fid_inception_arrays,
)
from keras_bidalle.converters.llamagen import convert_llamagen
from keras_bidalle.converters.lpips import convert_lpips
from keras_bidalle.converters.mindalle import convert_mindalle
from keras_bidalle.converters.modules import ModuleRecord, read_module
from keras_bidalle.converters.open_magvit2 import convert_open_magvit2
from keras_bidalle.converters.rq_transformer import convert_rq_transformer
from keras_bidalle.converters.rq_vae import convert_rq_vae
from keras_bidalle.converters.state_dict import (
    read_checkpoint,
    read_state_dict,
)
from keras_bidalle.converters.unpickling import CheckpointError
from keras_bidalle.converters.vqgan import convert_te_vqgan, convert_vqgan
from keras_bidalle.converters.writing import (
    published_state_dict,
    write_safetensors,
)

__all__ = [
    "CheckpointError",
    "ModuleRecord",
    "convert",
    "convert_with_tokenizer",
    "convert_adversarial_loss",
    "convert_augvae",
    "convert_bidalle",
    "convert_dall_e",
    "convert_llamagen",
    "convert_lpips",
    "convert_mindalle",
    "convert_open_magvit2",
    "convert_rq_transformer",
    "convert_rq_vae",
    "convert_te_vqgan",
    "convert_vqgan",
    "efficientnet_lite0_arrays",
    "fid_inception_arrays",
    "published_state_dict",
    "read_checkpoint",
    "read_config",
    "read_module",
    "read_state_dict",
    "read_vocabulary",
    "write_safetensors",
]
