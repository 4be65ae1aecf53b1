"""Presets for `fuzz_readers.py`: small ones, and how they change.

A file of the corpus is JSON that tells what is changed in one of some presets,
tokenizers, a generator and whole models, which are made anew by every run:

- `json`: list of [file, path, operation, value], in a file's tree;
- `text`: list of [file, start, end, text], in a file's characters;
- `weights`: list of [start, bytes in hexadecimal], put over the weights file;
- `gone`: list of files that are not there;
- `cut`: int, where the weights file ends, or `null`;
- `signed`: bool, whether sizes and checksums are told as they are now.
"""

import hashlib
import json
import pathlib
import shutil
import tempfile

from fuzzing import check_message, in_a_child
from preset_bases import BASES, WEIGHTS, base

TEXTS = ("config.json", "metadata.json", "sampling.json")
# HDF5's: a tree, a heap, a group's names, and its own.
MARKS = (b"TREE", b"HEAP", b"SNOD", b"\x89HDF", b"OHDR")
ODD = [None, True, -1, 0, 1, 3, 7, 2**31, 2**63, 10**30, 0.5, -1e308]
ODD += [float("nan"), float("inf"), "", "relu", "x" * 400, "\x1b[31m\0", "1"]
ODD += [[], {}, [[]], [1, 2, 3], [None], {"a": 1}, [0, -1], [10**6, 10**6]]
ODD += [{"class_name": name, "config": {}} for name in ("Dense", "Lambda")]
ODD += [
    {
        "class_name": name,
        "config": config,
        "module": module,
        "registered_name": None,
    }
    for name, config, module in (
        ("GlorotUniform", {"seed": -1}, "keras.initializers"),
        ("Dense", {"units": 10**9}, "keras.layers"),
        ("DTypePolicy", {"name": "float8"}, "keras"),
        ("__numpy__", {"value": [1], "dtype": "float99"}, "builtins"),
    )
]


def undamaged():
    for name in BASES:
        yield _encoded({"base": name, "signed": True})


def seeds():
    """Whole presets, and those of which one part is damaged."""
    yield from undamaged()
    for name in BASES:
        for change in damages(name):
            yield _encoded({"base": name, "signed": True, **change})


def damages(name):
    """One change of each kind, in each part of a preset."""
    files = base(name)
    for file in files:
        yield {"gone": [file]}
    for file in sorted(set(TEXTS) & set(files)):
        size = len(files[file])
        for piece in ("", "[]", "null", "[" * 5000, "\\ud800"):
            yield {"text": [[file, 0, size, piece]]}
        yield {"text": [[file, size // 2, size, ""]]}
        tree = json.loads(files[file])
        for path in paths_in(tree):
            if 0 < len(path) < 3:
                yield {"json": [[file, path, "drop", None]]}
    content = files[WEIGHTS]
    for part in (0, 1, 4, 16):
        yield {"cut": len(content) * part // 17}
    for mark in MARKS:
        at = max(content.find(mark), 0)
        yield {"weights": [[at, "00"]]}
        yield {"weights": [[at + 8, "ff" * 8]]}
    yield {"weights": [[len(content) // 2, "ff"]], "signed": False}


def _encoded(change):
    return json.dumps(change).encode()


def paths_in(node, path=()):
    """The paths of all nodes of a JSON tree."""
    yield path
    items = enumerate(node) if isinstance(node, list) else ()
    items = node.items() if isinstance(node, dict) else items
    for key, value in items:
        yield from paths_in(value, (*path, key))


def changed(data, rng):
    """A description with one more change, or one less."""
    change = json.loads(data)
    kinds = ("json", "text", "weights")
    used = [kind for kind in kinds if change.get(kind)]
    if used and rng.random() < 0.2:
        change[rng.choice(used)].pop()
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.choices((*kinds, "cut", "signed"), (8, 1, 5, 1, 1))[0]
        if kind == "signed":
            change["signed"] = not change.get("signed", True)
        elif kind == "cut":
            size = len(base(change["base"])[WEIGHTS])
            change["cut"] = rng.choice((None, rng.randrange(size)))
        else:
            one = {"json": a_json, "text": a_text, "weights": some_weights}
            change.setdefault(kind, []).append(one[kind](change["base"], rng))
            del change[kind][:-12]
    return _encoded(change)


def _text_of(name, rng):
    files = base(name)
    file = rng.choices(TEXTS, (8, 1, 1))[0]
    return (file, files[file]) if file in files else (TEXTS[0], files[TEXTS[0]])


def a_json(name, rng):
    file, content = _text_of(name, rng)
    tree = json.loads(content)
    paths = list(paths_in(tree))
    operation = rng.choice(("set", "set", "set", "copy", "drop", "add"))
    value = rng.choice(ODD)
    if operation == "copy":
        value = rng.choice(paths)
    return [file, rng.choice(paths), operation, value]


def a_text(name, rng):
    file, content = _text_of(name, rng)
    start = rng.randrange(len(content))
    end = start + rng.choice((0, 1, 40, len(content)))
    piece = rng.choice(("", "[" * 5000, '"', "\\ud800", "\x00", "1e999", "é"))
    return [file, start, end, piece]


def some_weights(name, rng):
    content = base(name)[WEIGHTS]
    start = rng.randrange(len(content))
    if rng.random() < 0.8:
        found = content.find(rng.choice(MARKS), start)
        start = max(found, 0) + rng.randrange(64)
    number = rng.choice((0, 1, 255, 2**16, 2**31, 2**40, 2**64 - 1))
    new = number.to_bytes(8, "little")[: rng.choice((1, 2, 4, 8))]
    return [start, new.hex()]


def with_json(tree, path, operation, value):
    """A JSON tree with one change in it."""
    holder = {"": tree}
    at, last = holder, ""
    for key in path:
        at, last = at[last], key
    if operation == "copy":
        source = tree
        for key in value:
            source = source[key]
        value = json.loads(json.dumps(source))
    if operation == "drop":
        del at[last]
    elif operation == "add" and isinstance(at[last], dict):
        at[last]["x"] = value
    elif operation == "add" and isinstance(at[last], list):
        at[last].append(value)
    else:
        at[last] = value
    return holder.get("")


def made(data):
    """The files of the preset that a description tells of."""
    change = json.loads(data)
    files = dict(base(change["base"]))
    for file, path, operation, value in change.get("json", ()):
        tree = json.loads(files[file])
        try:
            tree = with_json(tree, path, operation, value)
        except (KeyError, IndexError, TypeError):
            # An earlier change took away what this one would.
            continue
        files[file] = json.dumps(tree).encode()
    for file, start, end, piece in change.get("text", ()):
        text = files[file].decode(errors="replace")
        text = text[:start] + piece + text[end:]
        files[file] = text.encode(errors="surrogatepass")
    weights = bytearray(files[WEIGHTS])
    for start, new in change.get("weights", ()):
        new = bytes.fromhex(new)
        weights[start : start + len(new)] = new
    files[WEIGHTS] = bytes(weights[: change.get("cut")])
    for file in change.get("gone", ()):
        files.pop(file, None)
    if change.get("signed", True) and "metadata.json" in files:
        files["metadata.json"] = _signed(files)
    return files


def _signed(files):
    try:
        metadata = json.loads(files["metadata.json"])
        for name, told in metadata["files"].items():
            content = files[name]
            told["size"] = len(content)
            told["sha256"] = hashlib.sha256(content).hexdigest()
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return files["metadata.json"]
    return json.dumps(metadata).encode()


class Presets:
    """`keras_bidalle.load`; see `fuzzing.fuzz`."""

    room = "keras_bidalle"
    seeds = staticmethod(seeds)
    changed = staticmethod(changed)
    # HDF5 is a library in C.
    run = staticmethod(in_a_child)

    def __init__(self):
        # What is imported for the first file is not that file's doing.
        import keras_bidalle

        with tempfile.TemporaryDirectory() as folder:
            for data in undamaged():
                keras_bidalle.load(self.placed(data, pathlib.Path(folder)))

    def placed(self, data, folder):
        path = folder / "preset"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        for name, content in made(data).items():
            (path / name).write_bytes(content)
        return path

    def read(self, path):
        import keras_bidalle

        try:
            keras_bidalle.load(path)
        except (ValueError, FileNotFoundError) as error:
            check_message(error)
