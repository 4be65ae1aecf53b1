"""Requests that a server answers before it takes others.

The first request of a signature is slow, so TensorFlow Serving runs those in
`assets.extra/tf_serving_warmup_requests` while it loads a model: a TFRecord of
`tensorflow.serving.PredictionLog` messages. Those messages are five fields
deep, and their classes come in a package that nothing else here needs, so
they are written field by field.

Reference:
    tensorflow_serving/apis/prediction_log.proto, predict.proto, model.proto;
    the encoding: protobuf.dev/programming-guides/encoding.
"""

import json
import pathlib

import tensorflow as tf

from keras_bidalle.serving.check import EXAMPLES
from keras_bidalle.serving.check import WARMUP as FILE
from keras_bidalle.serving.requests import INPUT_SETTINGS

# Field numbers of the messages.
_PREDICTION_LOG_PREDICT_LOG = 6
_PREDICT_LOG_REQUEST = 1
_PREDICT_REQUEST_MODEL_SPEC, _PREDICT_REQUEST_INPUTS = 1, 2
_MODEL_SPEC_NAME, _MODEL_SPEC_SIGNATURE_NAME = 1, 3
_MAP_KEY, _MAP_VALUE = 1, 2


def write_warmup(folder, requests, model_name):
    """Writes the warm-up requests of a SavedModel."""
    path = pathlib.Path(folder) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            writer.write(prediction_log(model_name, signature, inputs))


def write_examples(folder):
    """Writes what `check` sends as each setting: JSON, beside the warm-up."""
    examples = {
        name: {"rows": setting.examples, "wrong": setting.wrong()}
        for name, setting in INPUT_SETTINGS.items()
    }
    path = pathlib.Path(folder) / EXAMPLES
    path.write_text(json.dumps(examples, indent=2) + "\n", encoding="utf-8")


def prediction_log(model_name, signature, inputs):
    """A serialized `PredictionLog` of one request: bytes."""
    spec = _field(_MODEL_SPEC_NAME, model_name.encode())
    spec += _field(_MODEL_SPEC_SIGNATURE_NAME, signature.encode())
    request = _field(_PREDICT_REQUEST_MODEL_SPEC, spec)
    for name, value in sorted(inputs.items()):
        tensor = tf.make_tensor_proto(value).SerializeToString()
        entry = _field(_MAP_KEY, name.encode()) + _field(_MAP_VALUE, tensor)
        request += _field(_PREDICT_REQUEST_INPUTS, entry)
    log = _field(_PREDICT_LOG_REQUEST, request)
    return _field(_PREDICTION_LOG_PREDICT_LOG, log)


def _field(number, content):
    """A field of bytes: its number and wire type 2, its length, itself."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
