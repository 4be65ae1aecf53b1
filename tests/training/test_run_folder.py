import pytest

from keras_bidalle import files
from keras_bidalle.backend import replicas
from keras_bidalle.training import RunFolder, SummaryWriter

pytestmark = pytest.mark.any_backend


def test_a_run_goes_on_with_its_own_settings_only(tmp_path):
    run = RunFolder(tmp_path / "run", {"steps": 3, "kinds": ("a", "b")})
    run.update_metrics(psnr=26.0)
    with pytest.raises(FileExistsError, match="--resume"):
        RunFolder(tmp_path / "run", {"steps": 3, "kinds": ("a", "b")})
    with pytest.raises(ValueError, match=r"steps=3 \(now 4\)"):
        RunFolder(tmp_path / "run", {"steps": 4, "kinds": ["a", "b"]}, True)
    again = RunFolder(tmp_path / "run", {"steps": 3, "kinds": ["a", "b"]}, True)
    again.update_metrics(usage=1.0)
    assert again.read("metrics.json") == {"psnr": 26.0, "usage": 1.0}


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(replicas, "data_shard", lambda: (1, 2))
    folder = RunFolder(tmp_path / "run", {"seed": 0})
    with files.atomic_folder(tmp_path / "preset") as temporary:
        (temporary / "config.json").write_text("{}")
    with SummaryWriter(tmp_path / "events") as writer:
        writer.scalar("loss", 1.0, 0)
    assert not any(tmp_path.iterdir())
    # What the first one has begun is no reason to stop.
    monkeypatch.setattr(replicas, "data_shard", lambda: (0, 2))
    folder = RunFolder(tmp_path / "run", {"seed": 0})
    monkeypatch.setattr(replicas, "data_shard", lambda: (1, 2))
    assert RunFolder(tmp_path / "run", {"seed": 0}).path == folder.path


def test_a_new_run_is_taken_back_and_one_that_was_there_stays(tmp_path):
    new = RunFolder(tmp_path / "run", {"a": 1})
    new.update_metrics(b=2)
    new.withdraw()
    assert not (tmp_path / "run").exists()
    del new
    kept = RunFolder(tmp_path / "run", {"a": 1})
    kept.write("words.json", [])
    del kept
    again = RunFolder(tmp_path / "run", {"a": 1}, resume=True)
    again.update_metrics(b=2)
    again.withdraw()
    assert again.read("metrics.json") == {"b": 2}
    assert again.read("words.json") == []
