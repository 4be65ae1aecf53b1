"""The check of memory, in small: it measures, and it can fail."""

import json

import frechet_memory
import pytest


def test_it_tells_memory_and_compares_replicas(capsys):
    line = "--count 40 --dimensions 8 --batch-size 16".split()
    assert frechet_memory.main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 40 and found["frechet"] > 0
    assert found["relative_difference"] <= 1e-6
    assert found["of_two_replicas"] == pytest.approx(found["frechet"])
    assert frechet_memory.main([*line, "--most", "-1"]) == 1
