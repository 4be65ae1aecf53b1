"""Tests of the local, patch-based tokenizer."""

import numpy as np
import pytest
from keras import ops
from small_tokenizers import as_float, patch_vqgan, uint8_images


@pytest.fixture
def moved():
    """A tokenizer whose blocks are not the identity that they start as."""
    model = patch_vqgan(image_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    for stage in (model.encoder, model.decoder):
        for block in stage.blocks:
            shape = block.project.kernel.shape
            block.project.kernel.assign(rng.normal(size=shape) * 0.3)
    return model


def test_codes_move_with_the_picture_by_whole_patches(moved):
    scene = uint8_images(2, side=64)
    first = moved.encode(scene[:, 8:40, 16:48])
    # What either crop sees of its own border does not count.
    margin = 1 + moved.num_blocks
    for rows, columns in [(1, 0), (0, 1), (1, -1), (-1, 1)]:
        top, left = 8 + 4 * rows, 16 + 4 * columns
        second = moved.encode(scene[:, top : top + 32, left : left + 32])
        inner = slice(margin + 1, -margin - 1)
        shifted = np.roll(second, (rows, columns), axis=(1, 2))
        equal = shifted[:, inner, inner] == first[:, inner, inner]
        assert equal.size and equal.mean() == 1.0
    assert len(np.unique(first)) > 3


def test_an_object_on_an_even_ground_has_its_codes_wherever_it_is(moved):
    """Replication hides the border: only the object decides."""
    digit = uint8_images(1, side=8)[0]
    canvas = np.zeros((2, 32, 32, 3), "uint8")
    canvas[0, 0:8, 0:8] = digit
    canvas[1, 12:20, 16:24] = digit
    # Next to the border replication shows the object's rim again, so the
    # comparison is with an object one patch off it.
    canvas[0] = np.roll(canvas[0], 12, axis=0)
    canvas[0] = np.roll(canvas[0], 12, axis=1)
    codes = moved.encode(canvas)
    np.testing.assert_array_equal(codes[0, 1:7, 1:7], codes[1, 1:7, 2:8])


def test_a_place_depends_on_its_neighbourhood_alone(moved):
    pictures = as_float(uint8_images(1, side=32))
    changed = pictures.copy()
    changed[:, :4, :4] *= -1.0
    latents = [
        ops.convert_to_numpy(moved.to_latents(ops.convert_to_tensor(x)))
        for x in (pictures, changed)
    ]
    reach = 2 + moved.num_blocks
    same = np.all(latents[0] == latents[1], axis=-1)[0]
    assert same[reach:].all() and same[:, reach:].all()
    assert not same[0, 0]


def test_it_trains_on_crops_smaller_than_its_pictures():
    model = patch_vqgan(image_shape=(32, 32, 3))
    model.compile("adam")
    model.fit(uint8_images(4, side=16), batch_size=2, verbose=0)
    assert model.encode(uint8_images(1, side=32)).shape == (1, 8, 8)


def test_patches_go_to_depth_and_back():
    model = patch_vqgan()
    assert model.code_shape == (4, 4)
    assert patch_vqgan(patch_size=2).code_shape == (8, 8)
    assert model(as_float(uint8_images())).shape == (3, 16, 16, 3)


@pytest.mark.parametrize("name", ["patch_size", "channels", "hidden_channels"])
def test_sizes_must_be_positive_integers(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive"):
        patch_vqgan(**{name: 0})
