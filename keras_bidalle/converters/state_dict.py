"""Where a checkpoint has its weights, and what else it tells."""

import collections
import os
import re
from typing import Any

from keras_bidalle.converters.containers import read_content, readable
from keras_bidalle.converters.expansion import check_expansion, parts_of_data
from keras_bidalle.converters.tensors import Tensor, as_tensor
from keras_bidalle.converters.unpickling import (
    CheckpointError,
    Name,
    Record,
)
from keras_bidalle.messages import shown

# Under which names training checkpoints have their weights, and the averaged
# copy of them.
_SECTIONS = (
    *("state_dict", "model_state_dict", "weights", "model", "module", "net"),
    *("network", "params", "parameters", "generator"),
)
_EMA_SECTIONS = (
    *("state_dict_ema", "ema_state_dict", "model_ema", "ema", "ema_model"),
    *("params_ema", "model_ema_state_dict", "ema_weights", "module_ema"),
)
_EMA_KEY = re.compile(r"(?:module\.)?(?:\w+_ema|ema|ema_\w+)\.(.+)")
# State of modules that no weight is, of counters and masks for the most part.
_BUFFERS = re.compile(
    r"(.*\.)?(num_batches_tracked|total_ops|total_params|position_ids|"
    r"masked_bias|attn\.mask|causal_mask|_extra_state|colorize|inv_freq)"
)
_MAX_DEPTH = 100
_NOTHING = object()


def read_checkpoint(path: str | os.PathLike[str]) -> Any:
    """Reads everything in a checkpoint that is data.

    Args:
        path: str or `pathlib.Path`, a file of `torch.save` or safetensors,
            or the index (`.index.json`) of several.

    Returns:
        What was saved, with NumPy arrays in the place of tensors (bfloat16
        and float8 as float32; those that share memory there share it here),
        lists in that of sets, and the settings in OmegaConf's, argparse's
        and Lightning's objects as dicts. Other objects are left out.

    Raises:
        CheckpointError: a `ValueError`, when the file is damaged, not a
            checkpoint, or names what runs code. Nothing in the file is ever
            executed.
        FileNotFoundError: when there is no such file.
    """
    content = read_content(path)
    with readable(path):
        found = _plain(content, {}, 0)
    return None if found is _NOTHING else found


def read_state_dict(path: str | os.PathLike[str], ema: bool = False) -> Any:
    """Reads the weights in a checkpoint.

    Args:
        path: as in `read_checkpoint`: a saved state dict, or a training
            checkpoint with one under `"state_dict"`, `"model"` and the like.
        ema: bool, whether the averaged copy of the weights is read that some
            programs keep beside them.

    Returns:
        Dict from parameter name to NumPy array.

    Raises:
        CheckpointError: as `read_checkpoint`, and when there are no weights
            (with `ema`: no averaged ones), or one is not a tensor.
        FileNotFoundError: when there is no such file.

    Example:

    ```python
    state_dict = read_state_dict("last.ckpt")
    state_dict["encoder.conv_in.weight"].shape  # (128, 3, 3, 3)
    ```
    """
    tensors = weights_in(read_content(path), path, ema)
    with readable(path):
        for name, tensor in tensors.items():
            if not isinstance(tensor, Tensor):
                raise CheckpointError(not_a_tensor(name, tensor))
        return {name: tensor.numpy() for name, tensor in tensors.items()}


def not_a_tensor(name, record):
    """The message for an object in the place of a weight."""
    return (
        f"`{name}` is made by `{record.name}`, which is no tensor; it was "
        "refused and nothing of it ran"
    )


def weights_in(content, path, ema=False):
    """The weights in what a file holds, none of them read yet.

    Returns:
        Dict from str to `Tensor`, or the `Record` of what is none.
    """
    with readable(path):
        found = _EMA_SECTIONS if ema else _SECTIONS
        state = _section(content, found, 0)
        if state is None and ema:
            state = _averaged(_section(content, _SECTIONS, 0) or {})
        if not state:
            members = [shown(key) for key in list(mapping(content) or ())[:6]]
            what = "averaged weights" if ema else "state dict"
            raise CheckpointError(f"it holds no {what}, but {members}")
        storages = collections.Counter(
            tensor.storage
            for tensor in state.values()
            if isinstance(tensor, Tensor)
        )
        for storage, count in storages.items():
            storage.is_kept = count > 1
        return state


def _section(content, names, depth):
    """The members of the first section that holds tensors, or `None`."""
    members = mapping(content)
    if members is None or depth > 3:
        return None
    for name in names:
        if name in members:
            found = _section(members[name], _SECTIONS, depth + 1)
            if found:
                return found
    if names is _EMA_SECTIONS and depth == 0:
        return None
    found = {str(k): as_tensor(v) for k, v in members.items()}
    found = {
        # What is no tensor is told when it is needed.
        k: members[k] if v is None else v
        for k, v in found.items()
        if v is not None or isinstance(members.get(k), Record)
    }
    tensors = [v for v in found.values() if isinstance(v, Tensor)]
    if tensors or depth:
        return found if tensors else None
    # A name that is not known, if it is the only one.
    others = [_section(v, _SECTIONS, depth + 1) for v in members.values()]
    others = [other for other in others if other]
    return others[0] if len(others) == 1 else None


def _averaged(state):
    """The averaged copy in a state dict, in the place of what it is of."""
    plain = {k: v for k, v in state.items() if not _EMA_KEY.fullmatch(k)}
    # One well-known program leaves the dots out.
    dotted = {name.replace(".", ""): name for name in plain}
    found = {}
    for key, tensor in state.items():
        match = _EMA_KEY.fullmatch(key)
        if match and match[1] not in ("decay", "num_updates"):
            found[dotted.get(match[1], match[1])] = tensor
    return {**plain, **found} if found else {}


def unwrapped(state, anchors):
    """A state dict under the names that a program gives its weights.

    Wrappers put their own names before them (`module.`, `_orig_mod.`,
    `first_stage_model.`), and keep averaged copies and counters beside them.

    Args:
        state: dict from str to anything.
        anchors: tuple of str, keys of which the program always has one.
    """
    state = {
        re.sub(r"(^|\.)_orig_mod\.", r"\1", str(name)): value
        for name, value in state.items()
        if not _BUFFERS.fullmatch(str(name))
    }
    prefixes = {
        name.removesuffix(anchor)
        for name in state
        for anchor in anchors
        if name == anchor or name.endswith(f".{anchor}")
    }
    plain = {p for p in prefixes if not _EMA_KEY.fullmatch(f"{p}x")}
    prefix = min(plain or prefixes or {""}, key=len)
    return {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix)
        and not _EMA_KEY.fullmatch(name.removeprefix(prefix))
    }


def mapping(value):
    """The members of a dict, or of an object that is one; else `None`."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Record):
        return None
    first = value.arguments[:1]
    pairs = [*(first[0] if first and isinstance(first[0], list) else ())]
    pairs += value.items
    if not value.name.startswith("collections.") and not pairs:
        return None
    found = {}
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return None
        if isinstance(pair[0], (str, int, float, bytes, type(None))):
            found[pair[0]] = pair[1]
    return found


def settings_in(content, *names):
    """The settings that a training checkpoint tells: a dict, or `None`."""
    members = mapping(content) or {}
    for name in names:
        found = _plain(members.get(name), {}, 0)
        if isinstance(found, dict) and found:
            check_expansion(found, parts_of_data)
            return found
    return None


def _plain(value, seen, depth):
    """Data without objects; `_NOTHING` for an object that is left out."""
    if depth > _MAX_DEPTH:
        raise CheckpointError("it is nested too deep")
    if isinstance(value, Name) or id(value) in seen:
        return seen.get(id(value), _NOTHING)
    if not isinstance(value, (Record, dict, list, tuple)):
        return value
    # What contains itself is left out where it does.
    seen[id(value)] = _NOTHING
    seen[id(value)] = found = _members(value, seen, depth + 1)
    return found


def _members(value, seen, depth):
    if isinstance(value, (list, tuple)):
        found = (_plain(item, seen, depth) for item in value)
        return type(value)(item for item in found if item is not _NOTHING)
    tensor = as_tensor(value)
    if tensor is not None:
        array = tensor.numpy()
        is_scalar = value.name.endswith(".scalar")
        return array.item() if is_scalar else array
    members = mapping(value)
    state = value.states[0] if members is None and value.states else None
    if isinstance(state, dict) and value.name.startswith("omegaconf."):
        for name in ("_content", "_val"):
            if name in state:
                return _plain(state[name], seen, depth)
    if isinstance(state, dict) and value.name == "argparse.Namespace":
        members = state
    if members is None:
        return _NOTHING
    found = {k: _plain(v, seen, depth) for k, v in members.items()}
    return {k: v for k, v in found.items() if v is not _NOTHING}


__all__ = ["CheckpointError", "read_checkpoint", "read_state_dict"]
