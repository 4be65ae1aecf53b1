"""Modules of a published program, imported from a clone of it.

Their training frameworks are not needed: what the modules import of those is
replaced by empty modules.
"""

import contextlib
import sys
import types

from torch import nn

UNUSED = (
    *("pytorch_lightning", "pytorch_lightning.utilities"),
    *("pytorch_lightning.utilities.distributed", "torchvision", "requests"),
    *("tqdm", "albumentations"),
)


@contextlib.contextmanager
def released(clone):
    """Imports come from `clone`, and are forgotten afterwards."""
    before = set(sys.modules)
    for name in UNUSED:
        module = sys.modules[name] = types.ModuleType(name)
        module.LightningModule = nn.Module
        module.tqdm = module.models = module.transforms = None
        module.rank_zero_only = lambda function: function
    sys.path.insert(0, str(clone))
    try:
        yield
    finally:
        sys.path.remove(str(clone))
        for name in set(sys.modules) - before:
            del sys.modules[name]
