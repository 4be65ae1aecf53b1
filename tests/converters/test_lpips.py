import numpy as np
import pytest

from keras_bidalle.converters import convert_lpips
from keras_bidalle.converters import lpips as lpips_module
from keras_bidalle.losses import LPIPS
from keras_bidalle.losses.perceptual import lpips_shapes


def published():
    """VGG16 as torchvision saves it, and LPIPS's linear weights."""
    rng = np.random.default_rng(0)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    vgg = {"classifier.0.weight": np.zeros((2, 2), "float32")}
    for place, inputs, outputs in zip(
        places, widths[:-1], widths[1:], strict=True
    ):
        shape = (outputs, inputs, 3, 3)
        weight = rng.standard_normal(shape, "float32") / 30
        vgg[f"features.{place}.weight"] = weight
        vgg[f"features.{place}.bias"] = np.ones(outputs, "float32")
    linear = {
        f"lin{i}.model.1.weight": rng.random((1, width, 1, 1), "float32")
        for i, width in enumerate((64, 128, 256, 512, 512))
    }
    return vgg, linear


@pytest.mark.parametrize("together", [False, True])
def test_published_files_become_one_that_lpips_opens(
    tmp_path, monkeypatch, together
):
    vgg, linear = published()
    files = {"vgg16.pth": vgg, "vgg.pth": linear}
    if together:  # A VQGAN checkpoint, which holds both.
        names = {f"loss.perceptual_loss.{k}": v for k, v in linear.items()}
        for name, array in vgg.items():
            name = name.replace("features.", "net.slice1.")
            names[f"loss.perceptual_loss.{name}"] = array
        files = {"last.ckpt": names}
    monkeypatch.setattr(lpips_module, "read_state_dict", files.get)
    convert_lpips(list(files), tmp_path / "lpips.npz")
    with np.load(tmp_path / "lpips.npz") as found:
        assert {k: found[k].shape for k in found} == lpips_shapes()
        np.testing.assert_array_equal(
            found["conv3_3/kernel"],
            vgg["features.14.weight"].transpose(2, 3, 1, 0),
        )
        np.testing.assert_array_equal(
            found["linear2/kernel"], linear["lin1.model.1.weight"].ravel()
        )
    LPIPS(tmp_path / "lpips.npz")


def test_a_missing_weight_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    vgg, _ = published()
    monkeypatch.setattr(lpips_module, "read_state_dict", lambda path: vgg)
    with pytest.raises(ValueError, match="LPIPS has no.*lin0.model.1.weight"):
        convert_lpips(["vgg16.pth"], tmp_path / "lpips.npz")
    assert not list(tmp_path.iterdir())
