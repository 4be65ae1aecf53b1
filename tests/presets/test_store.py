import json
import os
import pathlib
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from small_presets import Part, Whole, outputs, whole

import keras_bidalle.presets.store as store
from keras_bidalle.presets import load, save_preset

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def saved(tmp_path):
    model = whole()
    model.part.count.assign(3.0)
    folder = tmp_path / "model"
    save_preset(model, folder)
    return folder, model


def test_a_saved_model_loads_with_its_weights_and_arguments(saved):
    folder, model = saved
    loaded = load(folder)
    assert isinstance(loaded, Whole) and loaded.words == ["red", "3"]
    np.testing.assert_array_equal(outputs(loaded), outputs(model))
    assert float(loaded.part.count) == 3.0


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_another_process_loads_it_under_each_backend(saved, backend):
    folder, model = saved
    result = folder.parent / f"{backend}.npy"
    program = (
        "import sys, numpy as np, keras\n"
        "from small_presets import outputs\n"
        "from keras_bidalle.presets import load\n"
        f"assert keras.backend.backend() == {backend!r}\n"
        "np.save(sys.argv[2], outputs(load(sys.argv[1])))\n"
    )
    path = os.pathsep.join([str(REPOSITORY), os.path.dirname(__file__)])
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": path,
    }
    subprocess.run(
        [sys.executable, "-c", program, str(folder), str(result)],
        env=environment,
        check=True,
    )
    np.testing.assert_allclose(np.load(result), outputs(model), rtol=1e-5)


def test_the_folder_has_the_hubs_file_names_and_no_others(saved):
    folder, model = saved
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["format_version"] == 2
    assert metadata["parameter_count"] == 3 * 5 + 5 + 1
    assert set(metadata["files"]) == {"config.json", "model.weights.h5"}
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_the_optimizer_is_left_out(tmp_path):
    model = whole()
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 3)), np.ones((2, 5)), verbose=0)
    save_preset(model, tmp_path / "model")
    with h5py.File(tmp_path / "model" / "model.weights.h5") as file:
        assert "optimizer" not in file
    loaded = load(tmp_path / "model")
    assert getattr(loaded, "optimizer", None) is None
    np.testing.assert_array_equal(outputs(loaded), outputs(model))


def test_saving_again_replaces_the_folder_as_a_whole(saved):
    folder, _ = saved
    (folder / "mine.txt").write_text("years of work")
    model = whole()
    with pytest.raises(FileExistsError, match="'mine.txt'.* overwrite=True"):
        save_preset(model, folder)
    (folder / "mine.txt").unlink()
    save_preset(model, folder, card="# The card\n")
    np.testing.assert_array_equal(outputs(load(folder)), outputs(model))
    assert (folder / "README.md").read_text() == "# The card\n"


def test_the_card_may_be_edited(saved):
    folder, _ = saved
    (folder / "README.md").write_text("another")
    load(folder)
    (folder / "README.md").unlink()
    load(folder)


@pytest.mark.parametrize(
    "name", ["metadata.json", "config.json", "model.weights.h5"]
)
def test_a_missing_file_is_named(saved, name):
    folder, _ = saved
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no `{name}`"):
        load(folder)


def test_truncated_weights_are_told(saved):
    folder, _ = saved
    path = folder / "model.weights.h5"
    content = path.read_bytes()
    path.write_bytes(content[:100])
    message = f"loaded: `model.weights.h5` .* 100 bytes, not {len(content)}"
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_changed_byte_is_told(saved, name):
    folder, _ = saved
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ValueError, match=f"`{name}` .*checksum is wrong"):
        load(folder)


def test_metadata_that_is_not_json_is_told(saved):
    folder, _ = saved
    (folder / "metadata.json").write_text("{")
    with pytest.raises(ValueError, match="`metadata.json` is not JSON"):
        load(folder)
    (folder / "metadata.json").write_text("[]")
    with pytest.raises(ValueError, match="is not a JSON object"):
        load(folder)
    (folder / "metadata.json").write_text("{}")
    with pytest.raises(ValueError, match="was not written by keras_bidalle"):
        load(folder)


def change(folder, name, function):
    """Changes a JSON file and its checksum, as a careful hand would."""
    content = json.loads((folder / name).read_text())
    content = function(content)
    (folder / name).write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    if name == "config.json":
        metadata = json.loads((folder / "metadata.json").read_text())
        metadata["files"][name] = store._fingerprint(folder / name)
        (folder / "metadata.json").write_text(json.dumps(metadata))


def test_a_config_that_is_not_json_is_told(saved):
    folder, _ = saved
    change(folder, "config.json", lambda config: "{,}")
    with pytest.raises(ValueError, match="`config.json` is not JSON"):
        load(folder)


def test_a_newer_format_is_told(saved):
    folder, _ = saved
    change(folder, "metadata.json", lambda m: {**m, "format_version": 3})
    with pytest.raises(ValueError, match="has format 3; .* reads up to 2"):
        load(folder)


def test_a_class_from_a_newer_version_is_told(saved):
    folder, _ = saved

    def rename(config):
        return {**config, "registered_name": "keras_bidalle>Newer"}

    change(folder, "config.json", rename)
    with pytest.raises(ValueError, match="class 'keras_bidalle>Newer'"):
        load(folder)


def test_weights_of_another_model_are_refused(saved, tmp_path):
    folder, _ = saved
    other = tmp_path / "other"
    save_preset(Whole(Part(4)), other)
    weights = (other / "model.weights.h5").read_bytes()
    (folder / "model.weights.h5").write_bytes(weights)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["files"]["model.weights.h5"] = store._fingerprint(
        folder / "model.weights.h5"
    )
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="do not fit its configuration"):
        load(folder)


def test_an_unbuilt_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`model` must be built"):
        save_preset(keras.Sequential(), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_model_of_another_package_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="is not one of keras_bidalle"):
        save_preset(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_generator_may_compute_in_another_dtype():
    captions = ["the number is red 3 .", "blue 5 on the upper left ."]
    model = load("bidalle-mnist", generator_dtype="bfloat16")
    assert model.generator.compute_dtype == "bfloat16"
    block = model.generator.transformer.blocks[0]
    assert block.to_qkv.variable_dtype == "bfloat16"
    # Codes are those of the tokenizer that the generator was trained on.
    assert model.image_tokenizer.compute_dtype == "float32"
    images = model.text_to_image(captions, temperature=0.0)
    exact = load("bidalle-mnist")
    (first, second) = exact.image_to_text(images)
    assert "red 3" in first and "blue 5" in second
    with pytest.raises(ValueError, match="bfloat17"):
        load("bidalle-mnist", dtype="bfloat17")
    with pytest.raises(ValueError, match="has no generator"):
        load("te-vqgan-mnist", generator_dtype="bfloat16")


def test_a_dtype_is_that_of_all_parts():
    model = load("bidalle-mnist", dtype="bfloat16")
    for part in (model, model.generator, model.image_tokenizer):
        assert part.compute_dtype == "bfloat16"
    assert model.image_tokenizer.encoder.compute_dtype == "bfloat16"
    images = np.zeros((1, 64, 64, 3), "uint8")
    assert model.image_tokenizer.encode(images).shape == (1, 16, 16)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="Unknown preset"):
        load("no-such-preset")
