"""Where a preset's files are: in the package, in a folder, or on a hub."""

import os
import pathlib

from keras_bidalle.messages import one_line, shown

SHIPPED = pathlib.Path(__file__).resolve().parent


def preset_names() -> list[str]:
    """The names that `keras_bidalle.load` knows without a network.

    Returns:
        Sorted list of str.
    """
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


class UnknownPresetError(ValueError):
    """A preset that is not there, or that a hub does not give."""


def preset_folder(preset: str | pathlib.Path) -> pathlib.Path:
    """A preset's folder: one of the name that was saved here goes first."""
    if not isinstance(preset, (str, os.PathLike)) or "\0" in str(preset):
        raise _unknown(preset)
    folder = pathlib.Path(preset)
    is_shipped = str(preset) in preset_names()
    if is_shipped and not os.path.isfile(folder / "metadata.json"):
        return SHIPPED / str(preset)
    return folder


def preset_file(preset: str | pathlib.Path, file_name: str) -> pathlib.Path:
    """Finds one file of a preset, fetching it from a hub where need be.

    Args:
        preset: str or `pathlib.Path`: a name of `preset_names()`, a folder,
            or a hub handle (`kaggle://`, `hf://`, `modelscope://`, `gs://`
            and what else keras-hub reads).
        file_name: str, such as `"config.json"`.

    Returns:
        `pathlib.Path` of a local file.

    Raises:
        ValueError: if there is no such preset, or a hub does not give it.
        FileNotFoundError: if the preset has no such file.
    """
    if "://" in str(preset):
        return _hub_file(str(preset), file_name)
    folder = preset_folder(preset)
    if not os.path.isdir(folder):
        raise _unknown(preset)
    path = folder / file_name
    if not os.path.isfile(path):
        raise FileNotFoundError(
            one_line(
                f"Preset folder {folder} has no `{file_name}`: it is "
                "incomplete, or it was not written by `save_to_preset`."
            )
        )
    return path


def _unknown(preset):
    names = ", ".join(f"'{name}'" for name in preset_names()) or "none"
    if isinstance(preset, os.PathLike):
        preset = str(preset)
    return UnknownPresetError(
        f"Unknown preset. Names known here: {names}. Or pass a folder written "
        "by `save_to_preset`, or a handle such as 'hf://owner/model'. "
        f"Received: {shown(preset)}"
    )


def _hub_file(preset, file_name):
    # keras-hub knows each hub's client and cache; it is slow to import.
    from keras_hub.src.utils.preset_utils import get_file

    try:
        return pathlib.Path(get_file(preset, file_name))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Preset '{preset}' has no `{file_name}`, or its hub cannot be "
            f"reached: {error}"
        ) from error
    except ImportError:
        raise
    except Exception as error:
        # Every hub's client has exceptions of its own.
        raise UnknownPresetError(
            one_line(
                f"`{file_name}` of preset '{preset}' could not be fetched: "
                f"{error}"
            )
        ) from error
