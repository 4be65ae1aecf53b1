"""Calls of whole models at their edges: no captions, and one as a str."""

import numpy as np
import pytest
from small_models import CAPTIONS, small_model


@pytest.fixture(scope="module")
def model():
    return small_model("patch")


def test_of_no_captions_no_pictures_are_streamed(model):
    shape = model.text_to_image([]).shape
    assert shape[0] == 0
    assert {images.shape for images in model.stream_text_to_image([])} == {
        shape
    }


def test_one_caption_is_scored_as_a_list_of_it(model):
    images = model.text_to_image(CAPTIONS[0], seed=1)
    np.testing.assert_array_equal(
        model.score_captions(CAPTIONS[0], images),
        model.score_captions([CAPTIONS[0]], images),
    )
