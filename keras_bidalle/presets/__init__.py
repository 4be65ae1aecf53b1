"""Models by name, from a folder or from a hub."""

from keras_bidalle.presets.files import preset_names
from keras_bidalle.presets.mixin import PresetMixin
from keras_bidalle.presets.store import load, save_preset

__all__ = ["PresetMixin", "load", "preset_names", "save_preset"]
