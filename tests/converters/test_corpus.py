"""Damaged files that reach all corners of the readers; see
`recipes/checks/fuzz_readers.py`, which found them."""

import os
import pathlib
import random

import pytest

pytestmark = pytest.mark.any_backend

ROOT = pathlib.Path(__file__).parents[2]
# Each with how many files there are at least.
CORPORA = {
    "checkpoints": (ROOT / "tests/converters/corpus", 120),
    "presets": (ROOT / "tests/presets/corpus", 60),
    "published": (ROOT / "tests/converters/published_corpus", 200),
}


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes/checks"))
    import fuzz_readers

    return fuzz_readers


@pytest.mark.parametrize("name", CORPORA)
def test_every_file_is_read_or_told_in_one_short_line(program, name, tmp_path):
    from fuzzing import MEGABYTES, peak

    folder, least = CORPORA[name]
    reader, files = program.READERS[name](), sorted(folder.glob("*.bin"))
    assert len(files) >= least
    before = peak()
    for path in files:
        place = tmp_path / path.stem
        place.mkdir()
        reader.read(reader.placed(path.read_bytes(), place))
    assert peak() - before < MEGABYTES


def test_what_is_changed_is_whole_before(program, tmp_path, monkeypatch):
    """Of each published program; a refusal would hide all that is behind."""
    monkeypatch.setattr("fuzzed_published.check_message", _raised)
    reader = program.READERS["published"]()
    for number, data in enumerate(reader.seeds()):
        if number % 3 == 0:
            folder = tmp_path / str(number)
            folder.mkdir()
            reader.read(reader.placed(data, folder))


def _raised(error):
    raise error


def test_parts_of_presets_are_damaged_one_by_one(program, tmp_path):
    reader = program.READERS["presets"]()
    seeds = list(reader.seeds())
    assert len(seeds) > 300
    for data in seeds[7::24]:
        reader.read(reader.placed(data, tmp_path))


def test_the_program_keeps_what_reaches_further(program, tmp_path, capsys):
    arguments = ["checkpoints", "--seconds", "0.2"]
    arguments += ["--corpus", str(tmp_path / "none")]
    arguments += ["--minimize", str(tmp_path / "kept")]
    arguments += ["--failures", str(tmp_path / "failures")]
    assert program.main(arguments) == 0
    assert '"failures": 0' in capsys.readouterr().out
    assert len(list((tmp_path / "kept").iterdir())) >= 5


class Faulty:
    """A reader that does what its file says."""

    room = "nowhere"

    def placed(self, data, folder):
        return data

    def read(self, data):
        while data == b"hangs":
            pass
        if data == b"ends":
            os._exit(3)
        if data == b"raises":
            raise KeyError("no documented error")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_what_ends_hangs_or_raises_is_counted_and_kept(
    program, tmp_path, monkeypatch
):
    import fuzzing

    monkeypatch.setattr(fuzzing, "SECONDS", 1)
    reader, rng = Faulty(), random.Random(0)
    reader.run = fuzzing.in_a_child
    files = [b"hangs", b"raises", b"ends", b"fine"]
    kept, figures = fuzzing.fuzz(0, reader, files, rng, tmp_path)
    assert kept == [b"fine"]
    assert figures["failures"] == 3 and figures["runs"] == 4
    failed = {path.read_bytes() for path in tmp_path.iterdir()}
    assert failed == set(files[:3])
