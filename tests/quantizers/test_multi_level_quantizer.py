import numpy as np
import pytest
from quantizer_arrays import to_numpy

from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    GumbelQuantizer,
    LastLevelQuantizer,
    MultiLevelQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
)

GRIDS = ((4, 4), (2, 2))
KINDS = {
    "learned": lambda: VectorQuantizer(8, 3, codebook_initializer="normal"),
    "averaged": lambda: EMAVectorQuantizer(8, 3, kmeans_steps=0),
    "relaxed": lambda: GumbelQuantizer(8, 3, input_dim=3),
}


def levels():
    rng = np.random.default_rng(0)
    return tuple(
        rng.normal(size=(2, *grid, 3)).astype("float32") for grid in GRIDS
    )


@pytest.mark.parametrize("kind", KINDS)
def test_any_quantizer_of_one_code_a_position_serves_all_levels(kind):
    part = KINDS[kind]()
    quantizer = MultiLevelQuantizer(part, GRIDS)
    outputs = quantizer(levels())
    codes = to_numpy(quantizer.encode(levels()))
    assert codes.shape == (2, quantizer.sequence_length) == (2, 20)
    decoded = quantizer.decode(codes)
    parts = quantizer.split(codes)
    for z, output, vectors, own in zip(
        levels(), outputs, decoded, parts, strict=True
    ):
        np.testing.assert_allclose(
            to_numpy(output), to_numpy(vectors), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_array_equal(to_numpy(part.encode(z)), to_numpy(own))


def test_the_losses_are_those_of_the_levels_apart():
    part = KINDS["learned"]()
    quantizer = MultiLevelQuantizer(part, GRIDS)
    quantizer(levels())
    together = float(sum(quantizer.losses))
    apart = 0.0
    for z in levels():
        part(z)
        apart += float(sum(part.losses))
    assert together == pytest.approx(apart, rel=1e-5)


def test_an_average_learns_from_one_level_after_the_other():
    part, expected = KINDS["averaged"](), KINDS["averaged"]()
    codebook = np.random.default_rng(1).normal(size=(8, 3))
    for one in (part, expected):
        one.revival_share = 0.0
        one.assign_codebook(codebook)
    MultiLevelQuantizer(part, GRIDS)(levels(), training=True)
    for z in levels():
        expected(z, training=True)
    np.testing.assert_array_equal(
        to_numpy(part.codebook), to_numpy(expected.codebook)
    )


def test_the_last_level_alone_is_given_on():
    quantizer = LastLevelQuantizer(KINDS["learned"](), GRIDS)
    output = to_numpy(quantizer(levels()))
    codes = quantizer.encode(levels())
    assert output.shape == (2, 2, 2, 3) and tuple(codes.shape) == (2, 2, 2)
    np.testing.assert_allclose(
        output, to_numpy(quantizer.decode(codes)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResidualQuantizer(VectorQuantizer(8, 3), code_depth=2),
        lambda: MultiLevelQuantizer(VectorQuantizer(8, 3), GRIDS),
        lambda: "vector",
    ],
)
def test_stacks_of_codes_and_several_maps_are_refused(make):
    with pytest.raises(ValueError, match="`quantizer` must be a Quantizer of"):
        MultiLevelQuantizer(make(), GRIDS)
