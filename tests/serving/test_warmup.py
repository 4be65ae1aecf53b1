"""Warm-up files hold the messages that TensorFlow Serving reads."""

import keras
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if keras.config.backend() != "tensorflow":
    pytest.skip("serving graphs are TensorFlow's own", allow_module_level=True)

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from keras_bidalle.serving.check import read_warmup
from keras_bidalle.serving.warmup import FILE, write_warmup


def prediction_log_class():
    """The message as tensorflow_serving/apis declares it, as far as used."""
    file = descriptor_pb2.FileDescriptorProto(
        name="warmup_test.proto", package="warmup_test", syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name, *fields, parent=file.message_type):
        found = parent.add(name=name)
        for field, number, kind in fields:
            repeated = kind.startswith("*")
            kind = kind.lstrip("*")
            found.field.add(
                name=field,
                number=number,
                label=kinds.LABEL_REPEATED
                if repeated
                else kinds.LABEL_OPTIONAL,
                type={
                    "string": kinds.TYPE_STRING,
                    "bytes": kinds.TYPE_BYTES,
                }.get(kind, kinds.TYPE_MESSAGE),
                type_name=f".warmup_test.{kind}" if kind[0].isupper() else None,
            )
        return found

    message("ModelSpec", ("name", 1, "string"), ("signature_name", 3, "string"))
    request = message(
        "PredictRequest",
        ("model_spec", 1, "ModelSpec"),
        ("inputs", 2, "*PredictRequest.InputsEntry"),
    )
    entry = message(
        "InputsEntry",
        ("key", 1, "string"),
        ("value", 2, "bytes"),
        parent=request.nested_type,
    )
    entry.options.map_entry = True
    message("PredictLog", ("request", 1, "PredictRequest"))
    message("PredictionLog", ("predict_log", 6, "PredictLog"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("warmup_test.PredictionLog")
    )


def test_requests_are_read_back_as_messages(tmp_path):
    requests = [
        (
            "text_to_image",
            {
                "prompt": np.array(["red 3 .", "é" * 100], object),
                "seed": np.array([1, 2**31 - 1], "int32"),
                "temperature": np.array([0.5, 1.0], "float32"),
            },
        ),
        ("encode_image", {"image_bytes": np.array([b"\x00\xff" * 99], object)}),
    ]
    write_warmup(tmp_path, requests, "bidalle")
    records = tf.data.TFRecordDataset(str(tmp_path / FILE))
    logs = [
        prediction_log_class().FromString(record.numpy()) for record in records
    ]
    ours = read_warmup(tmp_path)
    assert len(logs) == len(requests) == len(ours)
    for log, (signature, inputs) in zip(logs, requests, strict=True):
        request = log.predict_log.request
        assert request.model_spec.name == "bidalle"
        assert request.model_spec.signature_name == signature
        assert set(request.inputs) == set(inputs) == set(ours[signature])
        for name, value in inputs.items():
            tensor = tensor_pb2.TensorProto.FromString(request.inputs[name])
            expected = [
                v.encode() if isinstance(v, str) else v for v in value.tolist()
            ]
            assert tf.make_ndarray(tensor).tolist() == expected
            assert ours[signature][name].tolist() == expected
