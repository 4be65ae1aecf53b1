"""The grids that compare quantizers and orders, at their smallest."""

import compare_orders
import compare_quantizers
import grid_tables
import keras
import numpy as np
import pytest

pytestmark = pytest.mark.any_backend

one_backend = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="depends on no backend"
)


@pytest.mark.parametrize("name", compare_quantizers.QUANTIZERS)
def test_every_quantizer_has_ten_bits_a_place(name):
    made = keras.saving.deserialize_keras_object(
        compare_quantizers.quantizer_of(name, 3)
    )
    depth = made.code_depth or 1
    assert made.num_codes**depth == 1024


def test_no_two_runs_have_one_name():
    for module in (compare_quantizers, compare_orders):
        names = [cell.name for cell in module.grid()]
        assert len(set(names)) == len(names)
        assert not any(set(name) & set(" ,/") for name in names)


@one_backend
def test_a_quantizer_is_trained_measured_and_told(
    digits, tmp_path, monkeypatch, capsys
):
    few = {"steps": 2, "reports": 1, "batch_size": 2, "extractors": None}
    monkeypatch.setattr(
        compare_quantizers,
        "TRAINING",
        {**compare_quantizers.TRAINING, **few},
    )
    tasks = {"classifier_steps": 1, "evaluation_pictures": 1}
    tasks["train_pictures"] = 4
    monkeypatch.setitem(compare_quantizers.TASKS, "mnist64", tasks)
    history = dict(compare_quantizers.HISTORY)
    del history["frechet"]
    monkeypatch.setattr(compare_quantizers, "HISTORY", history)
    results = ["--results", str(tmp_path / "results")]
    command = ["--data-dir", str(digits), "--output", str(tmp_path / "runs")]
    command += ["--only", "mnist64-fsq-1"]
    assert compare_quantizers.main([*results, *command]) == 0
    capsys.readouterr()
    assert compare_quantizers.main([*results, "--table"]) == 0
    told = capsys.readouterr().out
    (row,) = [line for line in told.splitlines() if "FSQ" in line]
    _, _, seeds, psnr, frechet, usage, _, step, _ = map(
        str.strip, row.split("|")
    )
    assert seeds == "1" and frechet == ""
    assert float(psnr) > 0 and 0 < float(usage) <= 1 and float(step) > 0


def test_orders_differ_in_nothing_else(digits, tmp_path):
    class Options:
        data_dir = str(digits)

    configs = {}
    for order in compare_orders.ORDERS:
        plan = compare_orders.Run(order, 2).plan(Options, tmp_path / "run")
        configs[order] = plan.config()
    arguments = configs["permuted"]["generator"]["config"]
    assert arguments.pop("order") == "permuted"
    assert arguments.pop("order_annealing") == (350, 525)
    assert configs["raster"]["generator"]["config"].pop("order") == "raster"
    configs["raster"]["generator"]["config"].pop("order_annealing", None)
    assert configs["permuted"] == configs["raster"]


def test_orders_are_told_with_their_paired_difference(tmp_path, capsys):
    results = [
        {
            "order": order,
            "seed": seed,
            "cpu_minutes": 30.0,
            "figures": {"text_to_image, unseen_instances": value},
        }
        for order, seed, value in (
            ("permuted", 0, 0.9),
            ("permuted", 1, 0.8),
            ("raster", 0, 0.7),
            ("raster", 1, 0.5),
        )
    ]
    compare_orders.table(results, tmp_path)
    told = capsys.readouterr().out
    assert "4 runs, 2.0 hours of one core" in told
    assert (
        "| text to image, unseen instances | 0.85 ± 0.05 | 0.6 ± 0.1 |" in told
    )
    row = next(
        line for line in told.splitlines() if "| 2 | 0.25 ± 0.05" in line
    )
    p_value = 1 - 2 / np.pi * np.arctan(0.25 / 0.05)
    assert f"{p_value:.2g}" in row


def test_figures_that_some_seeds_lack_are_of_the_others():
    cell = {0: {"figures": {"psnr": 20.0}}, 1: {"figures": {}}}
    assert grid_tables.figure(cell, "psnr") == "20"
    assert grid_tables.figure(cell, "frechet") == ""
