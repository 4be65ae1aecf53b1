import keras
import numpy as np
import pytest
from small_presets import Whole, outputs, whole

from keras_bidalle.presets import PresetMixin


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Other(PresetMixin, keras.Model):
    pass


def test_models_save_and_load_themselves(tmp_path):
    model = whole()
    model.save_to_preset(tmp_path / "model", card="# Card\n")
    loaded = Whole.from_preset(tmp_path / "model")
    np.testing.assert_array_equal(outputs(loaded), outputs(model))


def test_a_preset_of_another_class_is_refused(tmp_path):
    whole().save_to_preset(tmp_path / "model")
    with pytest.raises(ValueError, match="holds a `Whole`.*not a `Other`"):
        Other.from_preset(tmp_path / "model")
