"""Models in folders: what `load` reads and `save_to_preset` writes.

The layout is keras-hub's, flat so that every hub holds it:

- `config.json`: the model, with all it is made of, as Keras serializes it;
- `model.weights.h5`: its weights, without an optimizer's state;
- `metadata.json`: the format, versions, sizes and SHA-256 of both;
- `README.md`: the model card;
- `sampling.json`, where the model has any: the sampling settings that it
  takes where a call gives none.
"""

import contextlib
import hashlib
import json
import pathlib
import time
from typing import Any

import keras
import numpy as np

from keras_bidalle.backend.keras_internals import without_tensorflow
from keras_bidalle.files import atomic_folder, replaceable
from keras_bidalle.messages import one_line, shown
from keras_bidalle.presets.dtypes import policy_of, set_dtype
from keras_bidalle.presets.files import (
    UnknownPresetError,
    preset_file,
    preset_folder,
)
from keras_bidalle.presets.flat_generators import with_parts
from keras_bidalle.presets.half_precision import halve_weights
from keras_bidalle.presets.making import kept_weights, without_training_state
from keras_bidalle.presets.safety import check_config
from keras_bidalle.presets.weights_file import fitting_model, stored_shapes
from keras_bidalle.quantized_layers import check_weights, with_weights
from keras_bidalle.sampling.settings import checked_defaults
from keras_bidalle.version import __version__

FORMAT_VERSION = 2
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
METADATA, CARD = "metadata.json", "README.md"
SAMPLING = "sampling.json"
_MAX_JSON = 1 << 25
# How often a preset is read that is saved meanwhile.
_ATTEMPTS, _PAUSE = 5, 0.1


@without_tensorflow()
def load(
    preset: str | pathlib.Path,
    dtype: Any = None,
    generator_dtype: Any = None,
    weights: str | None = None,
) -> Any:
    """Loads a model with its weights.

    Args:
        preset: str or `pathlib.Path`: a name of
            `keras_bidalle.preset_names()`, which needs no network; a folder
            that `save_to_preset` wrote; or a handle of a hub that keras-hub
            knows (`kaggle://`, `hf://`, `modelscope://`, `gs://`).
        dtype: str or `keras.DTypePolicy`, in which the model and its parts
            compute; `None` for that in which it was saved. An image tokenizer
            finds other codes in another dtype.
        generator_dtype: as `dtype`, of a `TextImageModel`'s generator alone.
            With "bfloat16" JAX drew batches of 16 and 64 in three quarters
            and two thirds of the time on a CPU.
        weights: str, "int8" for products of the generator with weights and
            rows of 8 bits, as `generator.quantize("int8")` makes them, or
            `None` for the weights as they were saved. PyTorch has fast
            kernels for it on CPUs; elsewhere it saves memory alone.

    Returns:
        The model, an image tokenizer, a generator or a `TextImageModel`, on
        whichever backend Keras runs.

    Raises:
        ValueError: if there is no such preset, or it is damaged, names other
            classes than ours, or was written in a newer format; or if a
            dtype names no policy, or there is no generator to have one, or
            `weights` is something else.
        FileNotFoundError: if a file is missing.

    Example:

    ```python
    tokenizer = keras_bidalle.load("te-vqgan-mnist")
    model = keras_bidalle.load("runs/first/model")
    ```
    """
    check_weights(weights)
    for attempt in range(_ATTEMPTS):
        before = _stamp(preset)
        try:
            model = _load(preset, dtype, generator_dtype)
        except (ValueError, FileNotFoundError):
            if attempt == _ATTEMPTS - 1 or _stamp(preset) == before:
                raise
        else:
            if _stamp(preset) == before:
                break
        # It was saved anew while it was read.
        time.sleep(_PAUSE)
    return with_weights(model, weights)


def _stamp(preset):
    """What changes when a preset's folder is replaced."""
    with contextlib.suppress(OSError):
        found = preset_folder(preset).stat()
        return found.st_ino, found.st_mtime_ns
    return None


def _load(preset, dtype, generator_dtype):
    with _told_of(preset):
        metadata = _metadata(preset)
        config = _read_json(preset, CONFIG)
        check_config(config)
    if dtype is not None:
        set_dtype(config, policy_of(dtype=dtype))
    if generator_dtype is not None:
        if "generator" not in config["config"]:
            raise ValueError(
                f"Preset '{preset}' holds a `{config['class_name']}`, which "
                "has no generator. Received: "
                f"generator_dtype={shown(generator_dtype)}"
            )
        policy = policy_of(generator_dtype=generator_dtype)
        set_dtype(config["config"]["generator"], policy)
    with _told_of(preset), contextlib.ExitStack() as stack:
        weights = preset_file(preset, WEIGHTS)
        model = fitting_model(config, stored_shapes(weights))
        if metadata["format_version"] < 2:
            weights = stack.enter_context(with_parts(weights, model))
        try:
            model.load_weights(str(weights))
        except Exception as error:
            # h5py and Keras raise many kinds.
            raise ValueError(
                f"its weights do not fit its configuration: {error}"
            ) from error
        if hasattr(model, "sampling_defaults"):
            model.sampling_defaults = _sampling_defaults(preset, model)
    return model


def _sampling_defaults(preset, model):
    try:
        defaults = _read_json(preset, SAMPLING)
        return checked_defaults(defaults, getattr(model, "generator", model))
    except FileNotFoundError:
        return {}
    except (TypeError, ValueError) as error:
        raise ValueError(f"its damaged `{SAMPLING}`: {error}") from error


@contextlib.contextmanager
def _told_of(preset):
    """A scope in which whatever is wrong with a preset is told in one line.

    Files that are damaged show in all kinds of errors, of Keras, of h5py and
    of our constructors.
    """
    try:
        yield
    except (ImportError, FileNotFoundError, UnknownPresetError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        name = shown(str(preset))
        raise ValueError(
            one_line(f"Preset {name} cannot be loaded: {reason}")
        ) from error


def _metadata(preset):
    """Reads what a preset tells of itself, and compares its files with it."""
    metadata = _read_json(preset, METADATA)
    version, files = metadata.get("format_version"), metadata.get("files")
    if type(version) is not int or not isinstance(files, dict):
        raise ValueError(
            "it was not written by keras_bidalle: its `metadata.json` has no "
            "format version and files"
        )
    if version > FORMAT_VERSION:
        raise ValueError(
            f"it has format {version}; this version of keras_bidalle reads up "
            f"to {FORMAT_VERSION}. Upgrade it"
        )
    for file_name in (CONFIG, WEIGHTS):
        _verify(preset, file_name, files.get(file_name))
    return metadata


@without_tensorflow()
def save_preset(
    model: Any,
    folder: str | pathlib.Path,
    card: str | None = None,
    half_precision: bool = False,
    overwrite: bool = False,
) -> None:
    """Saves a model so that `load` opens it, on any backend.

    The folder appears whole or not at all. A preset that was there is
    replaced.

    Args:
        model: a built `keras.Model` of keras_bidalle.
        folder: str or `pathlib.Path`.
        card: str, the model card in Markdown, or `None` for a short one.
        half_precision: bool, stores the weights as float16, in half the
            space; the loaded model computes in its own dtype all the same.
        overwrite: bool, replaces a folder that holds other files too.

    Raises:
        FileExistsError: if `folder` is a file, or holds other files than
            those of a preset and `overwrite` is not set.
        ValueError: if the model could not be loaded again: one that is not
            of keras_bidalle, or not built, or made of lambdas.
    """
    contents = CONFIG, WEIGHTS, METADATA, CARD, SAMPLING
    folder = replaceable(folder, contents, overwrite)
    if not model.built:
        raise ValueError(
            "`model` must be built before it is saved. "
            f"Received: an unbuilt {type(model).__name__}"
        )
    config = keras.saving.serialize_keras_object(model)
    # As keras-hub does: constructors build, and training is not stored.
    for key in ("build_config", "compile_config"):
        _drop(config, key)
    config = json.loads(json.dumps(config))
    check_config(config)
    with atomic_folder(folder, contents, overwrite) as temporary:
        _write_json(temporary / CONFIG, config)
        kept = without_training_state(model, config)
        kept.save_weights(str(temporary / WEIGHTS))
        if half_precision:
            halve_weights(temporary / WEIGHTS)
        parameters = sum(int(np.prod(v.shape)) for v in kept_weights(kept))
        metadata = {
            "format_version": FORMAT_VERSION,
            "keras_bidalle_version": __version__,
            "keras_version": keras.__version__,
            "parameter_count": parameters,
            "files": {
                name: _fingerprint(temporary / name)
                for name in (CONFIG, WEIGHTS)
            },
        }
        _write_json(temporary / METADATA, metadata)
        defaults = getattr(model, "sampling_defaults", None) or {}
        defaults = {way: dict(own) for way, own in defaults.items()}
        if defaults:
            _write_json(temporary / SAMPLING, defaults)
        if card is None:
            card = (
                f"# {folder.name}\n\nA `{type(model).__name__}` of "
                f"keras_bidalle with {parameters:,} parameters.\n\n"
                "```python\nimport keras_bidalle\n\n"
                f'model = keras_bidalle.load("{folder.name}")\n```\n'
            )
            for direction, settings in defaults.items():
                told = ", ".join(f"{k} {v}" for k, v in settings.items())
                card += f"\nWithout settings, {direction} has {told}.\n"
        (temporary / CARD).write_text(card, encoding="utf-8")


def _read_json(preset, file_name):
    path = preset_file(preset, file_name)
    if path.stat().st_size > _MAX_JSON:
        raise ValueError(f"its `{file_name}` is larger than any model's")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its `{file_name}` is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"its `{file_name}` is not a JSON object")
    return content


def _write_json(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _fingerprint(path):
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}


def _verify(preset, file_name, wanted):
    path = preset_file(preset, file_name)
    wanted = wanted if isinstance(wanted, dict) else {}
    size = path.stat().st_size
    if size != wanted.get("size"):
        # Before all of it is read.
        problem = f"it has {size} bytes, not {shown(wanted.get('size'))}"
    elif _fingerprint(path) != wanted:
        problem = "its checksum is wrong"
    else:
        return
    raise ValueError(
        f"`{file_name}` is not the file that was saved ({problem}). Save or "
        "fetch it again"
    )


def _drop(node, key):
    if isinstance(node, dict):
        node.pop(key, None)
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for item in node:
            _drop(item, key)
