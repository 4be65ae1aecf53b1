"""The shipped model of emoji reads pictures that it has never seen."""

import numpy as np
import pytest
from PIL import Image

import keras_bidalle

NAMES = {
    "man-medium_skin_tone-white_hair": "man: medium skin tone, white hair",
    "person_biking-dark_skin_tone": "person biking: dark skin tone",
    "woman_running-medium-dark_skin_tone": (
        "woman running: medium-dark skin tone"
    ),
    "woman_in_lotus_position-medium_skin_tone": (
        "woman in lotus position: medium skin tone"
    ),
}


@pytest.fixture(scope="module")
def pictures(golden_dir):
    files = [golden_dir / "emoji" / f"{name}.png" for name in NAMES]
    return np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files])


def test_emoji_are_read_and_drawn(pictures):
    model = keras_bidalle.load("bidalle-emoji")
    assert model.image_to_text(pictures) == [*NAMES.values()]
    rows = model.score_captions([*NAMES.values()], pictures)
    others = model.score_captions([*NAMES.values()], pictures[::-1])
    assert (rows > others).all()
    # Of a dark and of a light hand most pixels that are not white differ so.
    dark, light = model.text_to_image(
        [
            f"thumbs up: {tone} skin tone, noto style"
            for tone in ("dark", "light")
        ]
    )
    inside = [image[image.min(-1) < 200] for image in (dark, light)]
    assert np.median(inside[0]) < 100 < np.median(inside[1])


def test_the_tokenizer_is_the_shipped_one(pictures):
    model = keras_bidalle.load("bidalle-emoji")
    alone = keras_bidalle.load("te-vqgan-emoji")
    codes = alone.encode(pictures)
    assert np.array_equal(model.image_tokenizer.encode(pictures), codes)
