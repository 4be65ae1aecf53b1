"""The sampling settings that a preset brings."""

import numpy as np
import pytest
from small_models import CAPTIONS, small_model

import keras_bidalle


def test_a_preset_keeps_its_sampling_settings(tmp_path):
    model = small_model("patch")
    model.save_to_preset(tmp_path / "plain")
    assert not (tmp_path / "plain" / "sampling.json").exists()
    settings = {"text_to_image": {"guidance_scale": 2.0, "top_k": 5}}
    model.sampling_defaults = settings
    for _ in range(2):  # the second replaces the first
        model.save_to_preset(tmp_path / "tuned")
    card = (tmp_path / "tuned" / "README.md").read_text()
    assert "text_to_image has guidance_scale 2.0, top_k 5." in card
    again = keras_bidalle.load(tmp_path / "tuned")
    assert again.sampling_defaults == settings
    np.testing.assert_array_equal(
        again.text_to_image(CAPTIONS, seed=3),
        keras_bidalle.load(tmp_path / "plain").text_to_image(
            CAPTIONS, seed=3, **settings["text_to_image"]
        ),
    )


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"text_to_image": {"top_k": 0}}', '{"images": {}}']
)
def test_damaged_sampling_settings_are_told(tmp_path, content):
    small_model("plain").generator.save_to_preset(tmp_path / "preset")
    (tmp_path / "preset" / "sampling.json").write_text(content)
    with pytest.raises(ValueError, match="damaged.*sampling.json"):
        keras_bidalle.load(tmp_path / "preset")


def test_the_shipped_model_draws_with_the_settings_of_its_figures():
    model = keras_bidalle.load("bidalle-mnist")
    assert model.sampling_defaults == {
        "text_to_image": {"temperature": 1.0, "guidance_scale": 2.0}
    }
