"""Random weights that pack well, and cases as files."""

import json
import pathlib
import zipfile

import numpy as np
import torch
from torch import nn


def coarse_weights(module, share):
    """Gives all weights random values of which few are different.

    A checkpoint then packs to a tenth. Sums of as many terms as a kernel has
    come out as with other random weights.

    Args:
        module: `torch.nn.Module`, changed in place.
        share: float, the share of a kernel's values that are not zero.
    """
    for name, tensor in module.state_dict().items():
        if tensor.ndim > 1 and not name.endswith(".filt"):
            scale = (share * tensor[0].numel()) ** -0.5
            signs = torch.randint(0, 2, tensor.shape) * 2 - 1
            kept = torch.rand(tensor.shape) < share
            tensor.copy_(signs * kept * scale)
        elif name.endswith("running_var"):
            tensor.copy_(torch.randint(3, 8, tensor.shape) / 4)
        elif tensor.ndim == 1:
            is_scale = name.endswith("weight")
            tensor.copy_(torch.randint(-3, 4, tensor.shape) / 16 + is_scale)
    module.eval()


def write_case(folder, config, files, image, answers):
    """Writes what a case consists of.

    Args:
        folder: `pathlib.Path`.
        config: dict.
        files: dict, from file name to what `torch.save` gets.
        image: tensor (B, 3, H, W).
        answers: dict of arrays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    for name, content in files.items():
        torch.save(content, folder / name)
        pack(folder / name)
    np.savez_compressed(folder / "io.npz", image=image.numpy(), **answers)


def pack(path: pathlib.Path):
    """Deflates what torch leaves as it is in the archive."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            # A fixed date, so that the same weights are the same file.
            info = zipfile.ZipInfo(name)
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)


class Parts(nn.Module):
    """Modules under the names that a checkpoint has for them."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
