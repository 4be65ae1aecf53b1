"""A PatchVQGAN that starts as k-means of patches."""

import numpy as np
import pytest

from keras_bidalle import image_tokenizers, quantizers


def tokenizer(num_codes=8, code_dim=14, channels=16):
    return image_tokenizers.PatchVQGAN(
        quantizers.EMAVectorQuantizer(
            num_codes, code_dim, kmeans_steps=0, seed=0
        ),
        image_shape=(16, 16, 3),
        patch_size=2,
        channels=channels,
        hidden_channels=8,
        num_blocks=1,
    )


def images(kinds, count=6):
    """Pictures of `kinds` different patches."""
    rng = np.random.default_rng(1)
    patches = rng.integers(0, 256, (kinds, 2, 2, 3), dtype="uint8")
    chosen = rng.integers(kinds, size=(count, 8, 8))
    grid = patches[chosen].transpose(0, 1, 3, 2, 4, 5)
    return grid.reshape(count, 16, 16, 3)


@pytest.mark.parametrize("as_float", [False, True])
def test_pictures_of_few_patches_come_back_as_they_are(as_float):
    pictures = images(kinds=8)
    made = tokenizer()
    given = pictures / 127.5 - 1.0 if as_float else pictures
    image_tokenizers.start_from_patches(made, given.astype(given.dtype))
    back = (np.asarray(made.reconstruct(pictures)) + 1.0) * 127.5
    assert np.abs(back - pictures).max() < 4
    assert len(np.unique(made.encode(pictures))) == 8


def test_the_same_seed_gives_the_same_codes_and_training_goes_on():
    pictures = images(kinds=40)
    first, second = tokenizer(), tokenizer()
    for one in (first, second):
        image_tokenizers.start_from_patches(one, pictures, seed=3)
    assert np.array_equal(first.encode(pictures), second.encode(pictures))
    before = np.mean(
        np.square(first.reconstruct(pictures) - (pictures / 127.5 - 1.0))
    )
    first.compile("adam")
    first.fit(pictures, epochs=2, batch_size=2, verbose=0)
    after = np.mean(
        np.square(first.reconstruct(pictures) - (pictures / 127.5 - 1.0))
    )
    assert after < 1.2 * before


def test_what_cannot_start_so_is_refused():
    pictures = images(kinds=8)
    for narrow in ({"channels": 12}, {"code_dim": 11}):
        with pytest.raises(ValueError, match="`channels` above 12"):
            image_tokenizers.start_from_patches(tokenizer(**narrow), pictures)
    with pytest.raises(ValueError, match=r"`images`.*9\. Received: 8"):
        image_tokenizers.start_from_patches(tokenizer(num_codes=9), pictures)
