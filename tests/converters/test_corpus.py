"""Damaged files that reach all corners of the readers; see
`recipes/checks/fuzz_readers.py`, which found them."""

import importlib.util
import pathlib

import pytest

pytestmark = pytest.mark.any_backend

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = sorted(pathlib.Path(__file__).with_name("corpus").glob("*.bin"))


@pytest.fixture(scope="module")
def program():
    path = ROOT / "recipes/checks/fuzz_readers.py"
    spec = importlib.util.spec_from_file_location("fuzz_readers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_file_is_read_or_told_in_one_short_line(program, tmp_path):
    assert len(CORPUS) >= 100
    before = program.peak()
    for path in CORPUS:
        data = path.read_bytes()
        copy = tmp_path / f"x{program.suffix(data)}"
        copy.write_bytes(data)
        program.read(copy)
        copy.unlink()
    assert program.peak() - before < program.MEGABYTES


def test_the_program_keeps_what_reaches_further(program, tmp_path, capsys):
    arguments = ["--seconds", "0.2", "--corpus", str(tmp_path / "none")]
    arguments += ["--minimize", str(tmp_path / "kept")]
    arguments += ["--failures", str(tmp_path / "failures")]
    assert program.main(arguments) == 0
    assert '"failures": 0' in capsys.readouterr().out
    assert len(list((tmp_path / "kept").iterdir())) >= 5
