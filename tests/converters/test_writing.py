"""Our weights under the published programs' names, and back."""

import numpy as np
import pytest

from keras_bidalle import converters
from keras_bidalle.converters import (
    published_state_dict,
    read_state_dict,
    write_safetensors,
)

# A case, its checkpoint, and the keys of it that only training needs.
CASES = [
    ("taming/gumbel", "last.ckpt"),
    ("te_vqgan/maxblur_unit", "last.ckpt"),
    ("rq_vae/shared", "model.pt"),
    ("rq_vae/per_depth", "model.pt"),
    ("augvae/ml", "mlvae.ckpt"),
    ("augvae/sl", "slvae.ckpt"),
    ("bidalle/mixed_learnable", "dalle.pt"),
    ("mindalle/transformer", "stage2.ckpt"),
    ("rq_transformer/per_depth_text", "model.pt"),
    ("rq_transformer/shared_class", "model.pt"),
]


@pytest.mark.parametrize("case, name", CASES)
def test_published_weights_come_out_as_they_went_in(
    golden_dir, tmp_path, case, name
):
    program, _, kind = case.partition("/")
    tokenizer = None
    if program == "rq_transformer":
        tokenizer = golden_dir / "rq_vae" / kind.rpartition("_")[0]
    model = converters.convert(golden_dir / case, tokenizer=tokenizer)
    original = read_state_dict(golden_dir / case / name)
    arrays = published_state_dict(model)
    assert arrays.keys() <= original.keys()
    for key, array in arrays.items():
        np.testing.assert_allclose(array, original[key], atol=2e-6, err_msg=key)
    path = tmp_path / "model.safetensors"
    write_safetensors(arrays, path)
    config = golden_dir / case / "config.json"
    again = converters.convert(path, config, tokenizer)
    for key, array in published_state_dict(again).items():
        np.testing.assert_allclose(array, arrays[key], atol=2e-6, err_msg=key)


def test_models_of_no_program_are_refused():
    with pytest.raises(ValueError, match="no published program"):
        published_state_dict(object())


def test_the_suffix_is_that_of_the_format(tmp_path):
    with pytest.raises(ValueError, match="must end in `.safetensors`"):
        write_safetensors({}, tmp_path / "x.pt")
