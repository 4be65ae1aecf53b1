"""The recipe's options, and DALL-E's two files.

What it makes of every published program is in `test_reference_folders.py`.
"""

import pathlib
import shutil

import published_dall_e
import pytest
from pickles import Global, Name, Object, write_archive

pytestmark = pytest.mark.any_backend


@pytest.fixture
def reference(golden_dir):
    return golden_dir


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


def test_a_configuration_of_endless_aliases_is_told(
    recipe, reference, tmp_path, capsys
):
    """1 KB of YAML that stands for 9**20 values, merged."""
    lines = ["a0: &a0 {n_embed: 16}"]
    for i in range(20):
        lines.append(f"a{i + 1}: &a{i + 1}")
        lines.append(f"  <<: [{', '.join([f'*a{i}'] * 9)}]")
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    arguments = [str(reference / "taming/gumbel/last.ckpt")]
    arguments += ["--config", str(tmp_path / "a.yaml")]
    assert recipe([*arguments, "--output", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err.strip()
    assert "`a.yaml`" in error and len(error) <= 310 and "\n" not in error
    assert not (tmp_path / "x").exists()


def test_help_explains_every_option(recipe, capsys):
    with pytest.raises(SystemExit, match="0"):
        recipe(["--help"])
    text = capsys.readouterr().out
    for word in ("checkpoint", "--config", "--output", "--overwrite"):
        assert word in text
