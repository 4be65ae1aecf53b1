"""Image tokenizers take any quantizer."""

import numpy as np
import pytest
from keras import ops
from small_tokenizers import as_float, discrete_vae, uint8_images

from keras_bidalle.image_tokenizers import RQVAE, AugVAE
from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    GumbelQuantizer,
    ResidualQuantizer,
    RestartingVectorQuantizer,
    VectorQuantizer,
)

SMALL = {
    "image_shape": (16, 16, 3),
    "channels": 8,
    "channel_multipliers": (1, 2),
    "num_res_blocks": 1,
    "z_channels": 8,
}
TOKENIZERS = {
    "rqvae": lambda q: RQVAE(q, attention_resolutions=(), **SMALL),
    "augvae": lambda q: AugVAE(
        q, num_levels=2, next_channel_multipliers=(1, 2), **SMALL
    ),
    "dvae": discrete_vae,
}
QUANTIZERS = {
    "learned": lambda: VectorQuantizer(12, 4),
    "averaged": lambda: EMAVectorQuantizer(12, 4),
    "restarting": lambda: RestartingVectorQuantizer(12, 4),
    "relaxed": lambda: GumbelQuantizer(12, 4, input_dim=6),
    "residual": lambda: ResidualQuantizer(VectorQuantizer(12, 4), 2),
}


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_any_quantizer_serves_any_tokenizer(tokenizer, quantizer):
    if (tokenizer, quantizer) == ("augvae", "residual"):
        # Its levels are one sequence of codes, without stacks.
        with pytest.raises(ValueError, match="one code a position"):
            TOKENIZERS[tokenizer](QUANTIZERS[quantizer]())
        return
    model = TOKENIZERS[tokenizer](QUANTIZERS[quantizer]())
    images = ops.convert_to_tensor(as_float(uint8_images(2)))
    outputs = model(images, training=True)
    assert tuple(outputs.shape) == (2, 16, 16, 3)
    latents = model.to_latents(images, training=False)
    codes = ops.convert_to_numpy(model.quantizer.encode(latents))
    assert codes.shape == (2, *model.code_shape)
    assert np.all((codes >= 0) & (codes < 12))
