"""Published folders for `fuzz_readers.py`: a checkpoint and its configuration.

A file of the corpus is JSON that tells what is changed in one of the golden
cases of the tests, and how it is packed:

- `case`: the folder under tests/golden;
- `json`: list of [path, operation, value], in the configuration's tree;
- `text`: list of [start, end, text], in the configuration as it is written;
- `tensors`: list of [number, operation, value], of the checkpoint's tensors;
- `weights`: list of [start, bytes in hexadecimal], put over the checkpoint;
- `cut`: int, where the checkpoint ends, or `null`;
- `config`: "yaml" or "json"; `form`: one of `FORMS`.
"""

import functools
import json
import pathlib
import tarfile

import numpy as np
from fuzzed_presets import ODD, paths_in, with_json
from fuzzing import check_message, in_a_child

GOLDEN = pathlib.Path(__file__).parents[2] / "tests" / "golden"
# From a case to its checkpoint, and to what must be given beside it.
CASES = {
    "te_vqgan/maxpool_zero": ("last.ckpt", None),
    "taming/gumbel": ("last.ckpt", None),
    "augvae/sl": ("slvae.ckpt", None),
    "dall_e/dvae": ("encoder.pkl", None),
    "rq_vae/shared": ("model.pt", None),
    "bidalle/full_fixed": ("dalle.pt", None),
    "mindalle/transformer": ("stage2.ckpt", None),
    "rq_transformer/shared_text": ("model.pt", "rq_vae/shared"),
}
# As it is published; its tensors in safetensors, in one file or two.
FORMS = ("folder", "tar", "tar.gz", "safetensors", "sharded")
PIECES = ("", "[" * 5000, '"', "\x00", "1e999", "\u00e9", "- ", "? ", "&a ")
PIECES += ("*a", "{<<: *a}", "&a [*a]", "!!python/name:os.system ", "1:1:1")
PIECES += ("!!binary ", "\n", "\t", "model:\n  params:\n    ", "# ")
SHAPES = ([], [0], [1], [2, 3], [1, 1, 1, 1], [100_000])


def seeds():
    for case in CASES:
        for form in FORMS[:1] if case == "dall_e/dvae" else FORMS:
            kind = "json" if form == "folder" else "yaml"
            yield _encoded({"case": case, "form": form, "config": kind})


def _encoded(change):
    return json.dumps(change).encode()


@functools.cache
def files_of(case):
    """The files of an undamaged case: dict of bytes."""
    paths = (GOLDEN / case).iterdir()
    return {p.name: p.read_bytes() for p in paths if p.name != "io.npz"}


@functools.cache
def tensors_of(case):
    from keras_bidalle.converters import read_state_dict

    return read_state_dict(GOLDEN / case / CASES[case][0])


def changed(data, rng):
    """A description with one more change, or one less."""
    change = json.loads(data)
    case = change["case"]
    lists = ("json", "text", "tensors", "weights")
    used = [kind for kind in lists if change.get(kind)]
    if used and rng.random() < 0.2:
        change[rng.choice(used)].pop()
    for _ in range(rng.choice((1, 1, 2, 3))):
        kinds = (*lists, "cut", "form", "config")
        kind = rng.choices(kinds, (8, 2, 3, 2, 1, 1, 1))[0]
        if kind == "form":
            change["form"] = rng.choice(FORMS)
        elif kind == "config":
            change["config"] = rng.choice(("yaml", "json"))
        elif kind == "cut":
            size = len(files_of(case)[CASES[case][0]])
            change["cut"] = rng.choice((None, rng.randrange(size)))
        else:
            change.setdefault(kind, []).append(_one(kind, case, rng))
            del change[kind][:-12]
    return _encoded(change)


def _one(kind, case, rng):
    config = files_of(case)["config.json"]
    if kind == "json":
        paths = list(paths_in(json.loads(config)))
        operation = rng.choice(("set", "set", "set", "copy", "drop", "add"))
        value = rng.choice(paths if operation == "copy" else ODD)
        return [rng.choice(paths), operation, value]
    if kind == "text":
        start = rng.randrange(len(config))
        end = start + rng.choice((0, 1, 40, len(config)))
        return [start, end, rng.choice(PIECES)]
    if kind == "tensors":
        operation = rng.choice(("drop", "rename", "shape", "nan", "copy"))
        return [rng.randrange(1000), operation, rng.choice(SHAPES)]
    start = rng.randrange(len(files_of(case)[CASES[case][0]]))
    start = rng.choice((start, start % 4000))
    number = rng.choice((0, 1, 255, 2**16, 2**31, 2**40, 2**64 - 1))
    new = number.to_bytes(8, "little")[: rng.choice((1, 2, 4, 8))]
    return [start, new.hex()]


def _config(change):
    """The name and the content of the configuration's file."""
    import yaml

    tree = json.loads(files_of(change["case"])["config.json"])
    for path, operation, value in change.get("json", ()):
        try:
            tree = with_json(tree, path, operation, value)
        except (KeyError, IndexError, TypeError):
            # An earlier change took away what this one would.
            continue
    kind = change.get("config", "json")
    text = json.dumps(tree) if kind == "json" else yaml.safe_dump(tree)
    for start, end, piece in change.get("text", ()):
        text = text[:start] + piece + text[end:]
    return f"config.{kind}", text.encode(errors="surrogatepass")


def _tensors(change):
    arrays = dict(tensors_of(change["case"]))
    for number, operation, shape in change.get("tensors", ()):
        name = sorted(arrays)[number % len(arrays)]
        if operation == "drop" and len(arrays) > 1:
            del arrays[name]
        elif operation == "rename":
            arrays[f"x.{name}"] = arrays.pop(name)
        elif operation == "shape":
            arrays[name] = np.zeros(shape, "float32")
        elif operation == "nan":
            arrays[name] = np.full_like(arrays[name], np.nan, "float32")
        elif operation == "copy":
            arrays["0"] = arrays[name]
    return arrays


def _write_tensors(change, folder):
    from keras_bidalle.converters import write_safetensors

    arrays = _tensors(change)
    if change["form"] == "safetensors":
        write_safetensors(arrays, folder / "model.safetensors")
        return folder / "model.safetensors"
    places = {}
    for part in range(2):
        name = f"part-{part}.safetensors"
        some = {k: arrays[k] for k in sorted(arrays)[part::2]}
        write_safetensors(some, folder / name)
        places.update(dict.fromkeys(some, name))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    return index


class Published:
    """`converters.convert`; see `fuzzing.fuzz`."""

    room = str(pathlib.Path("keras_bidalle", "converters"))
    seeds = staticmethod(seeds)
    changed = staticmethod(changed)
    # A model of impossible sizes may take the process along.
    run = staticmethod(in_a_child)

    def __init__(self):
        # What is imported for the first file is not that file's doing.
        import keras_bidalle.converters  # noqa: F401

        for case in CASES:
            if case != "dall_e/dvae":
                tensors_of(case)

    def placed(self, data, folder):
        change = json.loads(data)
        case, form = change["case"], change["form"]
        place = folder / "published"
        place.mkdir()
        name, content = _config(change)
        (place / name).write_bytes(content)
        checkpoint = CASES[case][0]
        if form in FORMS[3:] and case != "dall_e/dvae":
            damaged = _write_tensors(change, place)
        else:
            damaged = place / checkpoint
            for other, written in files_of(case).items():
                if other != "config.json":
                    (place / other).write_bytes(written)
        content = bytearray(damaged.read_bytes())
        for start, new in change.get("weights", ()):
            new = bytes.fromhex(new)
            content[start : start + len(new)] = new
        damaged.write_bytes(content[: change.get("cut")])
        if form in ("tar", "tar.gz"):
            packed = folder / f"published.{form}"
            with tarfile.open(packed, "w:gz" if form[3:] else "w") as archive:
                archive.add(place, "published")
            place = packed
        return place, CASES[case][1]

    def read(self, published):
        from keras_bidalle.converters import convert

        path, tokenizer = published
        given = tokenizer and str(GOLDEN / tokenizer)
        try:
            convert(path, tokenizer=given)
        except (ValueError, FileNotFoundError) as error:
            check_message(error)
