import resource
import time

import pytest

from keras_bidalle.converters import CheckpointError, read_config
from keras_bidalle.converters.state_dict import settings_in

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


def repeated(first, pattern, levels=11):
    """YAML in which each level has the one before it nine times."""
    lines = [f"a0: &a0 {first}"]
    for i in range(levels):
        lines.append(
            f"a{i + 1}: &a{i + 1} " + pattern % ", ".join([f"*a{i}"] * 9)
        )
    return "\n".join(lines)


HOSTILE = {
    "lists": repeated("[x, x]", "[%s]"),
    "merged": repeated("{x: 1}", "{<<: [%s]}"),
    "of itself": "a: &a [*a]",
    "merged with itself": "a: &a {<<: *a}",
    "a chain": repeated("[x]", "[%s]", 800),
    "deep": "a: " + "[" * 65_000,
    "deep and wide": "a: [" + ("[" * 250 + "]" * 250 + ",") * 130,
    "digits": "a: " + "1" * 65_000,
    "keys": "{" + "? a, " * 13_000,
    "large": "a: [" + "x, " * 10**6,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_configuration_costs_little(name, tmp_path):
    (tmp_path / "a.yaml").write_text(HOSTILE[name])
    before, began = peak_memory(), time.process_time()
    with pytest.raises(ValueError, match="`a.yaml` is not") as error:
        read_config(tmp_path / "a.yaml")
    assert time.process_time() - began < 10
    assert peak_memory() - before < 100e6
    line = str(error.value)
    assert len(line) <= 300 and line.isprintable()


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_aliases_are_read_where_they_are_few(tmp_path):
    text = "a: &a {x: 1, y: [1, 2]}\nb: {<<: *a, x: 3}\nc: [*a, *a]"
    (tmp_path / "a.yaml").write_text(text)
    found = read_config(tmp_path / "a.yaml")
    assert found["b"] == {"x": 3, "y": [1, 2]}
    assert found["c"] == [found["a"]] * 2


def test_settings_in_a_checkpoint_may_be_many_but_not_repeat_without_end():
    nested = [0]
    for _ in range(60):
        nested = [nested] * 9
    with pytest.raises(CheckpointError, match="e.57 values written as 604"):
        settings_in({"hparams": {"a": nested}}, "hparams")
    words = {"words": ["a"] * 10**6, "twice": [list(range(10**5))] * 2}
    assert settings_in({"hparams": words}, "hparams") == words
