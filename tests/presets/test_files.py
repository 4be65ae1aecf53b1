import shutil

import numpy as np
import pytest
from small_presets import outputs, whole

import keras_bidalle.presets.files as files
from keras_bidalle.presets import load, preset_names, save_preset


def test_an_unknown_name_lists_the_known_ones(tmp_path, monkeypatch):
    for name in ("b-model", "a-model"):
        save_preset(whole(), tmp_path / name)
    monkeypatch.setattr(files, "SHIPPED", tmp_path)
    assert preset_names() == ["a-model", "b-model"]
    message = "Names known here: 'a-model', 'b-model'.*'nonesuch'"
    with pytest.raises(ValueError, match=message):
        load("nonesuch")


def test_a_shipped_preset_loads_by_name_from_anywhere(tmp_path, monkeypatch):
    model = whole()
    save_preset(model, tmp_path / "package" / "a-model")
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "package")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(outputs(load("a-model")), outputs(model))


def test_each_shipped_preset_is_whole_small_and_has_a_card():
    for name in preset_names():
        load(name)
        folder = files.SHIPPED / name
        assert sum(p.stat().st_size for p in folder.iterdir()) < 25e6
        assert (folder / "README.md").is_file()


def test_a_hub_handle_goes_through_keras_hub(tmp_path, monkeypatch):
    preset_utils = pytest.importorskip("keras_hub.src.utils.preset_utils")
    model = whole()
    save_preset(model, tmp_path / "model")
    asked = []

    def get_file(preset, path):
        asked.append((preset, path))
        if not (tmp_path / "model" / path).exists():
            raise FileNotFoundError(path)
        return str(tmp_path / "model" / path)

    monkeypatch.setattr(preset_utils, "get_file", get_file)
    loaded = load("hf://owner/model")
    np.testing.assert_array_equal(outputs(loaded), outputs(model))
    assert ("hf://owner/model", "model.weights.h5") in asked

    shutil.rmtree(tmp_path / "model")
    with pytest.raises(FileNotFoundError, match="hf://.* `metadata.json`"):
        load("hf://owner/model")


def test_a_hub_that_does_not_answer_gives_one_clear_error(monkeypatch):
    preset_utils = pytest.importorskip("keras_hub.src.utils.preset_utils")

    def get_file(preset, path):
        raise ConnectionError("no route")

    monkeypatch.setattr(preset_utils, "get_file", get_file)
    with pytest.raises(ValueError, match="could not be fetched: no route"):
        load("kaggle://a/b/keras/c")

    def get_nothing(preset, path):
        # What Hugging Face's client raises without a network.
        raise FileNotFoundError("no connection and nothing in the cache")

    monkeypatch.setattr(preset_utils, "get_file", get_nothing)
    with pytest.raises(FileNotFoundError, match="reached: no connection"):
        load("hf://owner/model")


def test_a_scheme_that_no_hub_has_is_told():
    with pytest.raises(ValueError, match="nonesuch://model"):
        load("nonesuch://model")
