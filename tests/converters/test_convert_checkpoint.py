"""The recipe, from files to a folder that `load` opens."""

import importlib.util
import pathlib
import shutil

import keras
import numpy as np
import published_dall_e
import pytest
from pickles import Global, Name, Object, write_archive

from keras_bidalle import presets

RECIPE = pathlib.Path(__file__).parents[2] / "recipes/convert_checkpoint.py"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("convert_checkpoint", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def reference(shared_dir):
    return shared_dir / "reference"


@pytest.mark.parametrize("name", ["te_vqgan/maxpool_zero", "taming/gumbel"])
def test_a_published_folder_becomes_a_preset(
    recipe, reference, name, tmp_path, capsys
):
    output = tmp_path / "preset"
    assert recipe([str(reference / name), "--output", str(output)]) == 0
    assert "VQGAN" in capsys.readouterr().out
    model = presets.load(output)
    with np.load(reference / name / "io.npz") as io:
        expected = io["reconstruction"].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(
            model.decode(io["indices"]),
            np.clip(expected, -1, 1),
            rtol=1e-4,
            atol=1e-5,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


@pytest.mark.parametrize(
    "name", ["bidalle/mixed_learnable", "mindalle/transformer"]
)
def test_a_published_generator_becomes_a_preset(
    recipe, reference, name, tmp_path, capsys
):
    output = tmp_path / "preset"
    assert recipe([str(reference / name), "--output", str(output)]) == 0
    assert "BidirectionalTransformer" in capsys.readouterr().out
    assert "text_to_image" in (output / "README.md").read_text()
    model = presets.load(output)
    with np.load(reference / name / "io.npz") as io:
        rows = {
            "text": io["text"].astype("int32"),
            "codes": io["image_tokens"].reshape(-1, *model.code_shape),
            "text_to_image": np.ones(len(io["text"]), bool),
        }
        # Those of Bi-directional DALL-E hold the caption's tokens first.
        expected = (
            io["logits_image"]
            if "logits_image" in io
            else io["logits_t2i"][
                :, model.text_length - 1 : -1, model.text_classes :
            ]
        )
    logits = keras.ops.convert_to_numpy(model(rows)["image_logits"])
    np.testing.assert_allclose(logits[:, :, 0], expected, rtol=1e-4, atol=1e-5)


def test_checkpoint_and_configuration_may_be_named(
    recipe, reference, tmp_path, capsys
):
    case = reference / "taming/vq_legacy"
    shutil.copy(case / "last.ckpt", tmp_path / "model.ckpt")
    arguments = [str(tmp_path / "model.ckpt"), "--output", str(tmp_path / "x")]
    assert recipe(arguments) == 1
    assert "configuration" in capsys.readouterr().err
    arguments += ["--config", str(case / "config.json")]
    assert recipe(arguments) == 0
    assert recipe(arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert recipe([*arguments, "--overwrite"]) == 0


def truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def of_another_program(path):
    path.write_text("no checkpoint at all")


def malicious(path):
    path.write_bytes(b"cposix\nsystem\n(S'touch it_ran'\ntR.")


@pytest.mark.parametrize(
    "damage", [truncated, of_another_program, malicious, pathlib.Path.unlink]
)
def test_bad_checkpoints_are_one_line_and_leave_nothing(
    recipe, reference, damage, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    case = tmp_path / "case"
    shutil.copytree(reference / "taming/vq_legacy", case)
    (case / "last.ckpt").chmod(0o644)
    case.chmod(0o755)
    damage(case / "last.ckpt")
    assert recipe([str(case), "--output", "converted/model"]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("Error: ") and "\n" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_dall_es_folder_becomes_a_preset(recipe, reference, tmp_path, capsys):
    case, output = reference / "dall_e/dvae", tmp_path / "dvae"
    assert recipe([str(case), "--output", str(output)]) == 0
    assert "DiscreteVAE" in capsys.readouterr().out
    model = presets.load(output)
    with np.load(case / "io.npz") as io:
        images = 2 * io["image"].transpose(0, 2, 3, 1) - 1
        expected = io["reconstruction"].transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(model.encode(images), io["indices"])
        np.testing.assert_allclose(
            (model.reconstruct(images) + 1) / 2, expected, rtol=1e-4, atol=1e-5
        )
    assert [path.name for path in tmp_path.iterdir()] == ["dvae"]


def malicious_module(path):
    state = {"note": [0], "hook": Global("os", "system", "touch it_ran")}
    content = Object(Name("dall_e.encoder", "Encoder"), state)
    write_archive(path, content, {})


def mislabelled(path):
    other = {"encoder.pkl": "decoder.pkl", "decoder.pkl": "encoder.pkl"}
    shutil.copy(path.with_name(other[path.name]), path)


@pytest.mark.parametrize("name", ["encoder.pkl", "decoder.pkl"])
def test_bad_modules_are_one_line_and_leave_nothing(
    recipe, name, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    case = tmp_path / "case"
    for damage in (
        *(truncated, of_another_program, malicious, malicious_module),
        *(mislabelled, pathlib.Path.unlink),
    ):
        published_dall_e.write_folder(case)
        damage(case / name)
        assert recipe([str(case), "--output", "converted/model"]) == 1
        error = capsys.readouterr().err.strip()
        assert error.startswith("Error: ") and "\n" not in error, damage
        assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_configuration_of_another_checkpoint_is_told(
    recipe, reference, tmp_path, capsys
):
    arguments = [str(reference / "taming/gumbel/last.ckpt")]
    arguments += [
        "--config",
        str(reference / "te_vqgan/maxpool_zero/config.json"),
    ]
    assert recipe([*arguments, "--output", str(tmp_path / "x")]) == 1
    assert "key" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_explains_every_option(recipe, capsys):
    with pytest.raises(SystemExit, match="0"):
        recipe(["--help"])
    text = capsys.readouterr().out
    for word in ("checkpoint", "--config", "--output", "--overwrite"):
        assert word in text
