"""Weights of an earlier model in a new one, as far as they fit."""

import collections
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

# From an old and a new value to what the new weight becomes, `None` to leave.
Fitting = Callable[[np.ndarray, np.ndarray], np.ndarray | None]
OF_CODES = ("image_embedding", "image_head", "image_head_bias")


def carry_over(
    earlier: keras.Model,
    model: keras.Model,
    fittings: Mapping[str, Fitting] | None = None,
) -> str:
    """Gives a model the weights that an earlier one has in the same places.

    Those of another shape stay as they are.

    Args:
        earlier: built.
        model: built, of the same class.
        fittings: how weights of these names are made to fit.

    Returns:
        What was carried over, and what is new: one line.

    Raises:
        ValueError: if no weight fits.
    """
    fittings = fittings or {}
    known = _places(earlier)
    carried, new = 0, collections.Counter()
    for place, weight in _places(model).items():
        name = place[0].split("/")[-1]
        found = known.get(place)
        value = None
        if found is not None:
            old, own = (keras.ops.convert_to_numpy(w) for w in (found, weight))
            if name in fittings:
                value = fittings[name](old, own)
            elif old.shape == own.shape:
                value = old
        if value is None:
            new[name] += 1
        else:
            weight.assign(value)
            carried += 1
    if not carried:
        raise ValueError(
            "`--start-from` must hold a model of which some weights fit. "
            f"Received: none of {len(known)} has the place and shape of one "
            f"of {sum(new.values())}"
        )
    told = f"carried over {carried} of {carried + sum(new.values())} weights"
    if new:
        names = [f"{name} ({count})" for name, count in new.most_common(6)]
        told += f"; new are {', '.join(names)}"
        told += " and others" if len(new) > 6 else ""
    return told


def carry_over_generator(
    earlier: Any,
    generator: Any,
    image_tokenizer: Any,
    caption_tokenizer: Any,
    earlier_tokenizer: Any = None,
) -> str:
    """As `carry_over`: words by their spelling, codes where they are the same.

    Args:
        earlier: `TextImageModel`, or a generator alone, whose words are taken
            to be the same where they are as many.
        generator: that is to be trained.
        image_tokenizer, caption_tokenizer: its own; `None` for classes.
        earlier_tokenizer: the image tokenizer of a generator alone; `None`
            where it is not known, and the codes are taken to be the same.
    """
    old = getattr(earlier, "generator", earlier)
    told, fittings = [], {"text_position_embedding": _first_rows}
    before = getattr(earlier, "image_tokenizer", earlier_tokenizer)
    if before is not None and _others(before, image_tokenizer):
        told.append("the codes are those of another tokenizer")
        fittings |= dict.fromkeys(OF_CODES, lambda old, own: None)
    words = getattr(earlier, "caption_tokenizer", None)
    if words is not None and caption_tokenizer is not None:
        pairs = _same_tokens(words, caption_tokenizer)
        size = caption_tokenizer.vocabulary_size
        told.append(f"{len(pairs)} of {size} words are known")
        # A pad token for each place stands behind the words.
        pads = min(
            old.captions.text_classes - words.vocabulary_size,
            generator.captions.text_classes - size,
        )
        pairs += [(words.vocabulary_size + i, size + i) for i in range(pads)]
        fittings |= {
            "text_embedding": _rows(pairs, 0),
            "text_head": _rows(pairs, 1),
            "text_head_bias": _rows(pairs, 0),
        }
    return "; ".join([carry_over(old, generator, fittings), *told])


def _others(before, image_tokenizer):
    both = before.get_weights(), image_tokenizer.get_weights()
    return len(both[0]) != len(both[1]) or not all(
        np.array_equal(*pair) for pair in zip(*both, strict=True)
    )


def _places(model):
    """Weights by their path without numbers, and their number in that path."""
    counts, found = collections.Counter(), {}
    for weight in model.weights:
        parts = [re.sub(r"_\d+$", "", p) for p in weight.path.split("/")]
        path = "/".join(parts[1:] or parts)
        found[path, counts[path]] = weight
        counts[path] += 1
    return found


def _same_tokens(before, after):
    old, new = (_vocabulary(tokenizer) for tokenizer in (before, after))
    return [(old[token], i) for token, i in new.items() if token in old]


def _vocabulary(tokenizer):
    config = json.loads(tokenizer.tokenizer_json)
    added = {t["content"]: t["id"] for t in config["added_tokens"]}
    return {**added, **config["model"]["vocab"]}


def _rows(pairs, axis):
    """Copies the entries of words that both know, along an axis."""
    before, after = (np.asarray(ids, int) for ids in zip(*pairs, strict=True))

    def fitting(old, own):
        sizes = (np.delete(value.shape, axis) for value in (old, own))
        if old.ndim != own.ndim or not np.array_equal(*sizes):
            return None
        own = np.array(own)
        place = (slice(None),) * axis
        own[(*place, after)] = old[(*place, before)]
        return own

    return fitting


def _first_rows(old, own):
    if old.shape[1:] != own.shape[1:]:
        return None
    length = min(len(old), len(own))
    return np.concatenate([old[:length], own[length:]])
