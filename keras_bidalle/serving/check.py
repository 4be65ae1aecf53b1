"""Verifies an exported folder where there is nothing but TensorFlow.

    python -m keras_bidalle.serving.check serving/bidalle

A stock TensorFlow Serving has no Python and refuses XLA, so a folder that
answers under Keras may still not be served. Here it is loaded in a process
that has no Keras, with XLA disabled as that server disables it, and

- none of its operations is XLA's, Python's or of a cluster, or unknown;
- every signature answers its warm-up request;
- a row gives the same answer alone and in a batch of other rows;
- a wrong request is an error, and the next one is answered.

The folder is that of a version or of all versions, of which the newest is
checked. The exit status is 0 when all is well. The file also runs by itself,
without this package: `python check.py <folder>`.
"""

import argparse
import ctypes
import json
import os
import pathlib
import subprocess
import sys

# It imports nothing of this package, which imports Keras.

WARMUP = "assets.extra/tf_serving_warmup_requests"
# Of each setting: values that rows take, and wrong ones.
EXAMPLES = "assets.extra/settings.json"
_FORBIDDEN = ("Xla", "PyFunc", "EagerPyFunc", "Horovod", "Collective")
# Exported from the library in C++: `tensorflow::DisableXlaCompilation()`.
_DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"


def main(arguments=None):
    """Runs the program; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder")
    options = parser.parse_args(arguments)
    if sys.modules.get("keras"):
        # A process of its own, that Keras was never in.
        command = [sys.executable, __file__, options.folder]
        return subprocess.run(command).returncode
    try:
        folder = newest_version(options.folder)
        for result in check(folder):
            print(f"ok: {result}", flush=True)
    except CheckError as error:
        print(f"FAILED: {_one_line(str(error))}", file=sys.stderr)
        return 1
    print(f"{folder} can be served.")
    return 0


def _one_line(text, limit=290):
    """As `messages.one_line`: TensorFlow's errors tell of the whole graph."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    if len(line) <= limit:
        return line
    return f"{line[: limit // 2 - 3]} ... {line[3 - limit // 2 :]}"


class CheckError(Exception):
    """What is wrong with a folder."""


def newest_version(folder):
    """The SavedModel that a server would take: `pathlib.Path`."""
    folder = pathlib.Path(folder)
    if (folder / "saved_model.pb").is_file():
        return folder
    models = [file.parent for file in folder.glob("*/saved_model.pb")]
    versions = [model for model in models if model.name.isdecimal()]
    if not versions:
        raise CheckError(f"there is no SavedModel in {folder}")
    return max(versions, key=lambda version: int(version.name))


def check(folder):
    """Checks one version's folder."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow imports Keras where it is installed, and does without it
    # where it is not: here nothing can import it.
    sys.modules["keras"] = None
    import tensorflow as tf

    _disable_xla(tf)
    yield "XLA is disabled, as in a stock TensorFlow Serving"
    count = check_operations(folder)
    yield f"none of {count} operations is XLA's, Python's or a cluster's"
    signatures = tf.saved_model.load(str(folder)).signatures
    yield f"loads without Keras; signatures: {', '.join(signatures)}"

    requests, settings = read_warmup(folder), read_examples(folder)
    if not settings:
        yield f"settings are left as they are: there is no {EXAMPLES}"
    for name in signatures:
        if name not in requests and name != "serving_default":
            raise CheckError(f"signature {name} has no warm-up request")
    for name, request in requests.items():
        _answers(tf, signatures[name], request)
        yield f"{name}: answers its warm-up request"
        rows = _different_rows(tf, signatures, request, settings)
        _check_rows(tf, name, signatures[name], rows)
        yield f"{name}: rows do not depend on their batch"
        wrong = _check_wrong(tf, name, signatures[name], request, settings)
        yield f"{name}: wrong requests are errors ({', '.join(wrong)})"


def _disable_xla(tf):
    library = pathlib.Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"
    try:
        getattr(ctypes.CDLL(str(library)), _DISABLE_XLA)()
    except (OSError, AttributeError) as error:
        raise CheckError(
            f"XLA cannot be disabled in this build of TensorFlow: {error}"
        ) from error


def check_operations(folder):
    """Counts a SavedModel's operations."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.framework import op_def_registry

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    count = 0
    for graph in (meta.graph_def for meta in model.meta_graphs):
        functions = graph.library.function
        own = {function.signature.name for function in functions}
        nodes = list(graph.node)
        for function in functions:
            nodes += function.node_def
            if function.attr["_XlaMustCompile"].b:
                raise CheckError(
                    f"function {function.signature.name} is compiled by XLA"
                )
        for node in nodes:
            if node.op.startswith(_FORBIDDEN):
                raise CheckError(f"operation {node.op} ({node.name})")
            if node.op not in own and op_def_registry.get(node.op) is None:
                raise CheckError(
                    f"operation {node.op} is not TensorFlow's ({node.name})"
                )
        count += len(nodes)
    return count


def read_warmup(folder):
    """The warm-up requests: dict from signature to dict from input to array."""
    import tensorflow as tf
    from tensorflow.core.framework import tensor_pb2

    path = pathlib.Path(folder) / WARMUP
    if not path.is_file():
        raise CheckError(f"there is no {WARMUP}")
    requests = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        # PredictionLog.predict_log.request; see `warmup`.
        request = _fields(_fields(_fields(record)[6][0])[1][0])
        signature = _fields(request[1][0])[3][0].decode()
        inputs = {}
        for entry in map(_fields, request[2]):
            tensor = tensor_pb2.TensorProto.FromString(entry[2][0])
            inputs[entry[1][0].decode()] = tf.make_ndarray(tensor)
        requests[signature] = inputs
    return requests


def read_examples(folder):
    """Values of settings: dict from name to a dict of two lists."""
    path = pathlib.Path(folder) / EXAMPLES
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _fields(message):
    """A message's fields of bytes: dict from number to list of bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        number, wire_type = divmod(varint(), 8)
        if wire_type != 2:
            raise CheckError(f"{WARMUP} holds another message")
        size = varint()
        fields.setdefault(number, []).append(message[at : at + size])
        at += size
    return fields


def _different_rows(tf, signatures, request, settings, count=3):
    """Rows as unlike each other as inputs allow: list of requests of one."""
    import numpy as np

    rng = np.random.default_rng(0)
    files = [
        tf.io.encode_png(rng.integers(0, 256, (32 + i, 40, 3)).astype("uint8"))
        for i in range(count)
    ]
    values = {name: each["rows"] for name, each in settings.items()}
    values["image_bytes"] = [file.numpy() for file in files]
    if "codes" in request:
        found = signatures["encode_image"](image_bytes=tf.stack(files))
        values["codes"] = found["codes"].numpy()
    return [
        {
            name: np.array(values[name][i : i + 1], value.dtype)
            if name in values
            else value[:1]
            for name, value in request.items()
        }
        for i in range(count)
    ]


def _check_rows(tf, name, function, rows):
    import numpy as np

    together = {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}
    batch = _answers(tf, function, together)
    for i, row in enumerate(rows):
        for key, alone in _answers(tf, function, row).items():
            if not _same(tf, key, alone[0], batch[key][i]):
                raise CheckError(
                    f"{name}: `{key}` of row {i} differs alone and in a batch"
                )


def _same(tf, key, one, other):
    if key != "image_bytes":
        return (one == other).all() if hasattr(one, "all") else one == other
    a, b = (tf.io.decode_png(x).numpy().astype(int) for x in (one, other))
    # Rounding to 8 bits may fall either way.
    return a.shape == b.shape and abs(a - b).max() <= 1


def _answers(tf, function, request):
    """Runs a signature: dict from output to NumPy array."""
    try:
        outputs = function(**{k: tf.constant(v) for k, v in request.items()})
    except tf.errors.OpError as error:
        raise CheckError(f"a request failed: {error.message}") from error
    outputs = {key: value.numpy() for key, value in outputs.items()}
    rows = {len(value) for value in (*request.values(), *outputs.values())}
    if len(rows) != 1:
        raise CheckError(f"inputs and outputs have {sorted(rows)} rows")
    return outputs


def _check_wrong(tf, name, function, request, settings):
    """Sends wrong requests; returns the names of what was wrong in them."""

    def refused(what, **changed):
        inputs = {k: tf.constant(v) for k, v in {**request, **changed}.items()}
        try:
            function(**inputs)
        except tf.errors.OpError:
            return
        raise CheckError(f"{name}: {what} was answered, not refused")

    wrong = {
        "image_bytes": [b"no picture", b""],
        "prompt": ["", "\0", "\u2603 " * 10000],
        "codes": [-1],
        **{key: each["wrong"] for key, each in settings.items()},
    }
    for key, value in request.items():
        not_numbers = [float("nan")] if value.dtype.kind == "f" else []
        for bad in (*wrong.get(key, ()), *not_numbers):
            filled = value.copy()
            filled.fill(bad.encode() if isinstance(bad, str) else bad)
            refused(f"{key}={bad!r:.40}", **{key: filled})
        if len(request) > 1:
            refused(f"2 rows of {key}", **{key: value.repeat(2, axis=0)})
    _answers(tf, function, request)
    return list(request)


if __name__ == "__main__":
    sys.exit(main())
