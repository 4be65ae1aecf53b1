"""`save_to_preset` and `from_preset` for our models, one format for all."""

import pathlib
from typing import Any

from keras_bidalle.presets.store import load, save_preset


class PresetMixin:
    """Adds presets to a `keras.Model`; stands before it among the bases."""

    def save_to_preset(
        self,
        preset_dir: str | pathlib.Path,
        card: str | None = None,
        half_precision: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Saves the model in a folder that `keras_bidalle.load` opens.

        Args:
            preset_dir: str or `pathlib.Path`. A preset that is there is
                replaced as a whole.
            card: str, the model card in Markdown, or `None` for a short one.
            half_precision: bool, stores the weights as float16.
            overwrite: bool, replaces a folder that holds other files too.

        Raises:
            FileExistsError: if `preset_dir` is a file, or holds other files
                than those of a preset and `overwrite` is not set.
        """
        save_preset(self, preset_dir, card, half_precision, overwrite)

    @classmethod
    def from_preset(cls, preset: str | pathlib.Path, **options: Any) -> Any:
        """Loads a model of this class, as `keras_bidalle.load` does.

        Args:
            preset: str or `pathlib.Path`: a known name, a folder, or a hub
                handle.
            **options: `dtype`, `generator_dtype` and `weights` of `load`.

        Returns:
            The model with its weights.

        Raises:
            ValueError: if the preset holds a model of another class.
        """
        model = load(preset, **options)
        if not isinstance(model, cls):
            raise ValueError(
                f"Preset '{preset}' holds a `{type(model).__name__}`, which "
                f"is not a `{cls.__name__}`. `keras_bidalle.load` loads it."
            )
        return model
