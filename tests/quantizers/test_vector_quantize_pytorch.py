"""Our quantizers against the package vector-quantize-pytorch, as stored."""

import numpy as np
import pytest
from keras import ops
from quantizer_arrays import to_numpy

from keras_bidalle.quantizers import (
    BSQ,
    FSQ,
    LFQ,
    DiVeQ,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
)

CODES, CHANNELS = 9, 4
SIGNS = {"commitment_weight": 0.25, "diversity_weight": 0.7}
# Our entropy loss of BSQ is divided by its inverse temperature, as published.
MAKE = {
    "fsq": lambda: FSQ((8, 5, 5, 3)),
    "lfq": lambda: LFQ(CHANNELS, temperature=0.5, **SIGNS),
    "bsq": lambda: BSQ(
        CHANNELS,
        entropy_weight=0.2,
        inverse_temperature=2.0,
        group_bits=CHANNELS,
        **SIGNS,
    ),
    "simvq": lambda: SimVQ(CODES, CHANNELS),
    "simvq_rotation": lambda: SimVQ(CODES, CHANNELS, gradient="rotation"),
    "diveq": lambda: VectorQuantizer(
        CODES,
        CHANNELS,
        gradient=DiVeQ(noise=0.0),
        commitment_weight=0.0,
        codebook_weight=0.0,
    ),
}


@pytest.fixture(scope="module")
def arrays(golden_dir):
    return dict(np.load(golden_dir / "quantizers" / "io.npz"))


@pytest.mark.parametrize("name", MAKE)
def test_codes_outputs_losses_and_gradients_are_the_packages(
    name, arrays, gradients
):
    layer, z, direction = MAKE[name](), arrays["z"], arrays["direction"]
    expected = {
        k.removeprefix(f"{name}_"): v
        for k, v in arrays.items()
        if k.startswith(f"{name}_")
    }
    if name in ("lfq", "bsq"):
        # There the first channel is the highest bit.
        z, direction = z[:, ::-1].copy(), direction[:, ::-1].copy()
        for key in ("output", "gradient"):
            expected[key] = expected[key][:, ::-1]
    layer.ensure_built()
    if hasattr(layer, "projection"):
        layer.embedding.assign(arrays["codebook"])
        layer.projection.assign(arrays["matrix"].T)
    elif name == "diveq":
        layer.assign_codebook(arrays["codebook"])

    def close(found, key):
        np.testing.assert_allclose(
            to_numpy(found), expected[key], rtol=1e-4, atol=1e-5
        )

    np.testing.assert_array_equal(to_numpy(layer.encode(z)), expected["codes"])
    close(layer(z), "output")
    if "loss" in expected:
        close(sum(layer.losses), "loss")
    weights = ops.convert_to_tensor(direction)
    grad_z, of_weights = gradients(
        layer,
        z,
        of=lambda output, losses: ops.sum(output * weights) + sum(losses),
    )
    close(grad_z, "gradient")
    if "gradient_matrix" in expected:
        close(of_weights[0].T, "gradient_matrix")


def cosine(arrays):
    layer = VectorQuantizer(CODES, CHANNELS, normalize=True)
    layer.assign_codebook(arrays["codebook"])
    return layer


def residual(arrays):
    parts = [VectorQuantizer(CODES, CHANNELS) for _ in range(3)]
    for part, book in zip(parts, arrays["books"], strict=True):
        part.assign_codebook(book)
    return ResidualQuantizer(parts)


@pytest.mark.parametrize("name,make", [("cosine", cosine), ("rq", residual)])
def test_searched_codes_are_the_packages(name, make, arrays):
    layer = make(arrays)
    codes = to_numpy(layer.encode(arrays["z"]))
    np.testing.assert_array_equal(codes, arrays[f"{name}_codes"])
    np.testing.assert_allclose(
        to_numpy(layer.decode(codes)), arrays[f"{name}_output"], atol=1e-5
    )
