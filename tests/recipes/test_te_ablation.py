"""The grid of the translation-equivariance ablation, at its smallest."""

import json

import grids
import keras
import numpy as np
import pytest
import te_ablation
import te_ablation_table

from keras_bidalle.tasks import mnist64

pytestmark = pytest.mark.any_backend

SMALL = {
    "TOKENIZER": {
        **te_ablation.TOKENIZER,
        "steps": 4,
        "reports": 2,
        "batch_size": 2,
        "channels": 4,
        "num_res_blocks": 1,
        "z_channels": 8,
        "quantizer.num_codes": 16,
        "quantizer.code_dim": 16,
    },
    "TASK": {
        **te_ablation.TASK,
        "train_pictures": 4,
        "evaluation_pictures": 1,
        "classifier_steps": 1,
    },
}

one_backend = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="depends on no backend"
)


@pytest.fixture
def small(monkeypatch):
    for name, values in SMALL.items():
        monkeypatch.setattr(te_ablation, name, values)


def test_the_published_architecture_is_narrowed_and_nothing_else():
    run = te_ablation.Run("strided_conv", 10.0, 1)
    recipe = run.recipe()
    published = mnist64.Recipe.preset("paper").tokenizer.arguments
    own = dict(recipe.tokenizer.arguments)
    assert own.pop("channels") == 32 and published.pop("channels") == 128
    assert own.pop("downsampling") == "strided_conv"
    quantizer, other = own.pop("quantizer"), published.pop("quantizer")
    start = {"seed": 1, "kmeans_steps": 10, "revival_steps": 100}
    assert quantizer["config"] == {**other["config"], **start}
    assert quantizer["class_name"] == other["class_name"]
    assert own == published


def test_three_seeds_of_both_weights_go_through_both_stages():
    cells = te_ablation.grid()
    full = [c for c in cells if c.downsampling == te_ablation.PUBLISHED]
    assert {(c.orthogonality, c.seed) for c in full} == {
        (weight, seed) for weight in (0.0, 10.0) for seed in range(3)
    }
    assert len(cells) == 18 and len({cell.name for cell in cells}) == 18


@one_backend
def test_a_run_goes_on_after_a_kill_and_is_not_run_again(
    small, digits, tmp_path, monkeypatch, capsys
):
    results = tmp_path / "results"
    command = [
        *("--data-dir", str(digits), "--output", str(tmp_path / "runs")),
        *("--results", str(results), "--only", "maxpool-10-0"),
    ]
    report = mnist64.MNIST64Task.tokenizer_report

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist64.MNIST64Task, "tokenizer_report", killed)
    with pytest.raises(KeyboardInterrupt):
        te_ablation.main(command)
    assert not (results / "maxpool-10-0.json").exists()
    monkeypatch.setattr(mnist64.MNIST64Task, "tokenizer_report", report)
    checkpoints = tmp_path / "runs" / "maxpool-10-0" / "checkpoints"
    before = {
        f: f.stat().st_mtime_ns for f in checkpoints.rglob("*") if f.is_file()
    }
    assert te_ablation.main(command) == 0
    after = {
        f: f.stat().st_mtime_ns for f in checkpoints.rglob("*") if f.is_file()
    }
    assert before == after  # No step was taken twice.

    result = json.loads((results / "maxpool-10-0.json").read_text())
    assert [row["step"] for row in result["history"]] == [2, 4]
    assert 0 <= result["history"][-1]["foreground"] <= 1
    assert result["cpu_minutes"] > 0
    assert "text_to_image, unseen_instances" not in result["figures"]
    capsys.readouterr()
    assert te_ablation.main([*command, "--plan"]) == 0
    assert capsys.readouterr().out == "nothing is left\n"


def result(weight, seed, foreground, usage=(0.1, 0.5)):
    return {
        "downsampling": "maxpool",
        "orthogonality": weight,
        "seed": seed,
        "settings": {},
        "cpu_minutes": 30.0,
        "figures": {"psnr": 20.0 + weight + seed, "codebook_usage": usage[1]},
        "history": [
            {
                "step": 100 * (i + 1),
                "usage": use,
                "perplexity": 100 * use,
                "equivariance": 0.9,
                "foreground": value,
            }
            for i, (use, value) in enumerate(
                zip(usage, foreground, strict=True)
            )
        ],
    }


def test_the_table_has_means_errors_and_a_paired_test():
    results = [
        result(10.0, 0, (0.8, 0.6)),
        result(0.0, 0, (0.7, 0.5)),
        result(10.0, 1, (0.8, 0.6)),
        result(0.0, 1, (0.7, 0.3)),
    ]
    results[0]["figures"]["psnr"] += 1.0
    text = te_ablation_table.text(results)
    assert "4 runs, 2.0 hours of one core" in text
    # Of 31 and 31, and of 20 and 21.
    assert "| PSNR, dB | 20.5 ± 0.5 | 31 ± 0 |" in text
    # t = 10.5 / 0.5 with one degree of freedom.
    p_value = 1 - 2 / np.pi * np.arctan(21.0)
    row = f"| maxpool: PSNR, dB | 2 | 10.5 ± 0.5 | {p_value:.2g} |"
    assert row in text


def test_equal_use_compares_at_the_same_use():
    high = result(10.0, 0, (0.8, 0.6), usage=(0.2, 0.9))
    low = result(0.0, 0, (0.7, 0.3), usage=(0.1, 0.5))
    # 0.2 is a quarter of the way from 0.1 to 0.5; 0.9 is beyond.
    found = te_ablation_table.at_equal_use(high, low, "foreground", "usage")
    assert found == pytest.approx(0.8 - 0.6)
    low = result(0.0, 0, (0.7, 0.3), usage=(0.3, 0.5))
    assert (
        te_ablation_table.at_equal_use(high, low, "foreground", "usage") is None
    )


def test_results_of_other_settings_are_refused(tmp_path):
    for i, settings in enumerate(({}, {"steps": 1})):
        made = {**result(0.0, i, (0.7, 0.3)), "settings": settings}
        (tmp_path / f"{i}.json").write_text(json.dumps(made))
    with pytest.raises(ValueError, match="other settings"):
        grids.results_in(tmp_path)


@one_backend
def test_the_figures_are_drawn(tmp_path):
    te_ablation_table.draw([result(0.0, 0, (0.7, 0.3))], tmp_path / "a.png")

    class Tokenizer:
        def encode(self, images):
            return images[:, ::4, ::4, 0].astype("int32")

    class Pictures:
        def translated_groups(self, count, seed):
            rng = np.random.default_rng(seed)
            return rng.integers(0, 255, (count, 5, 64, 64, 3)).astype("uint8")

    te_ablation_table.draw_places(Tokenizer(), Pictures(), tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
