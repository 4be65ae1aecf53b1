import pytest

from keras_bidalle.training import RunFolder


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
