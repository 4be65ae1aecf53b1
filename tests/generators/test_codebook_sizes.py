"""Stacks whose depths have codebooks of several sizes."""

import numpy as np
import pytest
from keras import ops
from small_generators import small_generator

import keras_bidalle
from keras_bidalle.generators import RQTransformer
from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer

SIZES = [7, 2, 4]
TEXT = np.array([[1, 5, 6, 7, 2, 0]], "int32")


def make_generator(**options):
    options = {"codebook_sizes": SIZES, "head_depth": 1, **options}
    return small_generator(RQTransformer, code_shape=(2, 2, 3), **options)


@pytest.mark.parametrize("shared", [True, False])
def test_only_codes_that_a_depth_has_are_predicted_and_drawn(shared):
    generator = make_generator(shared_classifier=shared, head_bias=not shared)
    codes = generator.generate_codes(TEXT, num_samples=40, temperature=99.0)
    assert codes.max(axis=(0, 1, 2)).tolist() == [6, 1, 3]
    rows = {"text": TEXT, "codes": codes[:1], "text_to_image": np.ones(1, bool)}
    logits = ops.convert_to_numpy(generator(rows)["image_logits"])
    assert logits.shape == (1, 4, 3, 7)
    for depth, size in enumerate(SIZES):
        assert (logits[..., depth, size:] < -1e5).all()
        assert (np.abs(logits[..., depth, :size]) < 1e3).all()
    generator.compile("sgd")
    rows["codes"] = 0 * codes[:1] + np.array([0, 0, 4])
    match = r"`codes` must lie in \[0, 4\) at depth 2. Received: max="
    with pytest.raises(ValueError, match=match):
        generator.fit(rows, verbose=0)


@pytest.mark.any_backend
def test_codebooks_of_those_sizes_alone_are_taken_over(tmp_path):
    def quantizer(sizes):
        return ResidualQuantizer([VectorQuantizer(n, 4) for n in sizes])

    options = {"code_dim": 4, "shared_codebook": False}
    generator = make_generator(**options)
    generator.use_codebooks(quantizer(SIZES))
    with pytest.raises(ValueError, match=r"\(7, 2, 4\).*\(7, 4, 2\)"):
        generator.use_codebooks(quantizer([7, 4, 2]))
    generator.save_to_preset(tmp_path / "of-sizes")
    loaded = keras_bidalle.load(tmp_path / "of-sizes")
    assert loaded.get_config() == generator.get_config()
    assert loaded.head.codebook_limits == tuple(SIZES)
    # Without the argument, as the codebooks say it.
    told = make_generator(
        **options, codebook_sizes=None, shared_classifier=False
    )
    assert told.head.codebook_limits == 7
    told.use_codebooks(quantizer(SIZES))
    assert told.head.codebook_limits == tuple(SIZES)


@pytest.mark.any_backend
@pytest.mark.parametrize("sizes", [[7, 7], [7, 8, 1], [7, 0, 1], 7, "abc"])
def test_sizes_that_cannot_be_are_told(sizes):
    match = r"`codebook_sizes` must be 3 integers in \[1, 7\]"
    with pytest.raises(ValueError, match=match):
        make_generator(codebook_sizes=sizes)
