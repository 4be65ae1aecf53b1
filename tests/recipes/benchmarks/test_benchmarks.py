"""The benchmarks, at their smallest: every figure is there."""

import functools
import importlib.util
import json

import measuring
import narrow_weights
import numpy as np
import pytest
import rq_throughput
import sampling
import training

import keras_bidalle

pytestmark = pytest.mark.any_backend


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    """Measures the machine in no time."""
    speed = functools.partial(measuring.machine_speed, size=64, megabytes=1)
    monkeypatch.setattr(measuring, "machine_speed", speed)


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_sampling_is_timed_in_both_directions(capsys):
    sampling.main(["tiny", "--here", "--rounds", "1"])
    picture, caption = lines(capsys)
    for line, tokens in ((picture, 16), (caption, 4)):
        assert line["configuration"] == "tiny" and line["batch"] == 2
        assert line["ms_a_sample"] > 0 and line["limit_ms_a_sample"] > 0
        assert line["tokens_a_second"] == pytest.approx(
            1e3 * tokens / line["ms_a_sample"], rel=0.05
        )
        assert line["product_gflop_s"] > 0 and line["copy_gb_s"] > 0
        assert line["compile_seconds"] is not None
        assert line["peak_memory_mb"] is not None
    assert (picture["direction"], caption["direction"]) == (
        "picture",
        "caption",
    )


def test_other_libraries_are_timed_or_said_to_be_missing(capsys, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "transformers" else there(name),
    )
    arguments = "tiny --here --rounds 1 --directions picture".split()
    against = ["--against", "keras_hub", "transformers"]
    sampling.main([*arguments, *against])
    ours, hub, missing = lines(capsys)
    assert hub["system"] == "keras_hub"
    assert hub["times_ours"] == pytest.approx(
        hub["ms_a_sample"] / ours["ms_a_sample"], rel=0.1
    )
    assert missing["system"] == "transformers"
    assert missing["skipped"] == "not installed"


def test_the_limit_is_what_its_formula_says():
    generator = sampling.build("tiny", "float32")
    block = generator.transformer.blocks[0]
    block = sum(np.prod(w.shape) for w in block.weights)
    body, head = 2 * block, 32 * 64
    caches = 2 * 2 * 3 * 21 * 32 * 4
    assert sampling.cache_bytes(generator, 3) == caches
    step = max(4 * (body + head) / 1e9, 2 * 3 * (body + head) / 1e10)
    expected = 2 * body * 3 * 5 / 1e10
    expected += 16 * (step + caches * 13 / 21 / 1e9)
    assert sampling.least_seconds(
        generator, "picture", 3, 1e10, 1e9
    ) == pytest.approx(expected)


def test_training_is_timed_in_both_stages(capsys):
    training.main(["--tiny", "--rounds", "1", "--batch-size", "2"])
    found = {(line["stage"], line["task"]): line for line in lines(capsys)}
    assert list(found) == [
        ("tokenizer", "train"),
        ("tokenizer", "encode"),
        ("tokenizer", "decode"),
        ("generator", "text_to_image"),
        ("generator", "image_to_text"),
        ("generator", "both"),
    ]
    for (stage, _), line in found.items():
        unit = "ms_a_picture" if stage == "tokenizer" else "ms_a_step"
        assert line[unit] > 0 and line["parameters"] > 0


@pytest.mark.parametrize("depth", [1, 2])
def test_rq_throughput_times_codes_and_decoding(capsys, depth):
    arguments = "--model tiny --f 32 --c 16 --channels 32 --size 32"
    arguments += " --images 1 --loops 2"
    rq_throughput.main(
        [*arguments.split(), "--d", str(depth), "--batch-sizes", "1"]
    )
    (line,) = lines(capsys)
    assert line["images_a_loop"] == 1 and line["loops"] == 1
    parts = line["codes_ms_a_sample"], line["decoding_ms_a_sample"]
    assert min(parts) > 0
    assert line["ms_a_sample"] == pytest.approx(sum(parts), abs=0.2)
    assert line["processor_ms_a_sample"] > 0
    assert line["published_ms_a_sample"] is None


def test_rq_throughput_stands_beside_what_was_published():
    published = rq_throughput.PUBLISHED
    slow, fast = (
        published[16, 1, 16384, "huge"],
        published[32, 4, 16384, "huge"],
    )
    # arXiv 2203.01941, section 4.3: 4.1 and 5.6 times as fast.
    assert slow[100] / fast[100] == pytest.approx(4.1, abs=0.06)
    assert slow[200] / fast[200] == pytest.approx(5.6, abs=0.01)


def test_narrow_weights_are_compared_with_those_of_float32(
    capsys, monkeypatch, tmp_path
):
    build = sampling.build
    monkeypatch.setattr(
        sampling, "build", lambda name, dtype: build("tiny", dtype)
    )
    monkeypatch.setitem(
        vars(narrow_weights),
        "captions",
        lambda options, model: np.full((4, model.text_length), 3),
    )
    folder = tmp_path / "narrow"
    narrow_weights.main(
        f"--random --rounds 1 --batch-sizes 1 2 --save {folder}".split()
    )
    errors, one, two = lines(capsys)
    for name in ("image_logits", "text_logits"):
        figures = errors[name]
        assert 0 < figures["rms_error"] <= figures["largest_error"]
        # The levels are a 127th of the largest of each row.
        assert figures["largest_error"] < 0.2 * figures["deviation"]
    for batch, line in ((1, one), (2, two)):
        assert line["batch"] == batch and 0.5 < line["equal_codes"] <= 1.0
        ms = line["ms"]
        assert line["times_faster"]["sequential"] == pytest.approx(
            ms["float32, sequential"] / ms["int8, sequential"], rel=0.1
        )
    block = keras_bidalle.load(folder).transformer.blocks[0]
    assert block.to_qkv.quantization_mode == "int8"
