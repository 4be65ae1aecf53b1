"""The vocabulary of a run: the same from its first step to its last."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from keras_bidalle.backend import replicas
from keras_bidalle.captions import CaptionTokenizer

FILE = "vocabulary.json"


def kept_vocabulary(
    folder: Any,
    captions: Iterable[str],
    vocabulary_size: int,
    text_length: int,
) -> CaptionTokenizer:
    """A run's caption tokenizer: made once, and read where it goes on.

    Args:
        folder: `keras_bidalle.training.RunFolder`.
        captions: what a byte pair encoding is trained on.
        vocabulary_size, text_length: int, as `from_captions` takes them.

    Raises:
        ValueError: if the file was changed, or is missing beside checkpoints
            of a generator, whose words nobody knows then.
    """
    kept = folder.read(FILE)
    if kept is None:
        if any((folder / "checkpoints" / "generator").glob("step-*")):
            raise ValueError(_changed(folder, "is missing"))
        tokenizer = CaptionTokenizer.from_captions(
            captions, vocabulary_size, text_length
        )
        known = fingerprint(tokenizer)
        folder.write(FILE, {**tokenizer.get_config(), "fingerprint": known})
    else:
        tokenizer, known = _read(folder, kept)
    # Beside the words, so that another run's file is not taken for them.
    if (folder.read("metrics.json") or {}).get("vocabulary", known) != known:
        raise ValueError(_changed(folder, "was changed since the run began"))
    folder.update_metrics(vocabulary=known)
    number = int(known[:7], 16)
    if replicas.from_first_process(number) != number:
        raise ValueError(_changed(folder, "is another in other processes"))
    return tokenizer


def _read(folder, kept):
    try:
        known = kept.pop("fingerprint")
        tokenizer = CaptionTokenizer.from_config(kept)
        is_whole = fingerprint(tokenizer) == known
    except (AttributeError, KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise ValueError(_changed(folder, "was changed since the run began"))
    return tokenizer, known


def _changed(folder, how):
    return (
        f"{folder / FILE} {how}: a generator would go on with other words. "
        "Begin a new run with another --name."
    )


def fingerprint(tokenizer: CaptionTokenizer) -> str:
    """A digest of all that decides a caption's tokens."""
    config = json.dumps(tokenizer.get_config(), sort_keys=True)
    return hashlib.sha256(config.encode()).hexdigest()
