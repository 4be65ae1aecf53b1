import pytest

from keras_bidalle.converters import read_config

pytestmark = pytest.mark.any_backend

PUBLISHED = """
model:
  base_learning_rate: 4.5e-6
  target: taming.models.vqgan.GumbelVQ
  params:
    n_embed: 8192
    ddconfig: {ch: 128, ch_mult: [1, 1, 2, 4]}
data:
  target: main.DataModuleFromConfig
"""


def test_the_model_section_of_a_published_yaml(tmp_path):
    (tmp_path / "model.yaml").write_text(PUBLISHED)
    assert read_config(tmp_path / "model.yaml") == {
        "target": "taming.models.vqgan.GumbelVQ",
        "n_embed": 8192,
        "ddconfig": {"ch": 128, "ch_mult": [1, 1, 2, 4]},
    }


def test_json_is_taken_whole(tmp_path):
    (tmp_path / "config.json").write_text('{"n_embed": 16}')
    assert read_config(tmp_path / "config.json") == {"n_embed": 16}


@pytest.mark.parametrize(
    "name, text, match",
    [
        ("a.json", "{", "a.json.*cannot|can be read"),
        ("a.yaml", "a: [1", "a.yaml.*cannot|can be read"),
        ("a.yaml", "- 1\n- 2", "names and values.*list"),
        ("a.yaml", "!!python/object/apply:os.getcwd []", "can be read"),
    ],
)
def test_damaged_configurations_are_one_clear_error(
    tmp_path, name, text, match
):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=match):
        read_config(tmp_path / name)


def test_a_missing_configuration_is_told_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.yaml"):
        read_config(tmp_path / "absent.yaml")
