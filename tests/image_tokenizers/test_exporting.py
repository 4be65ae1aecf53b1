"""What Keras exports of tokenizers computes what the tokenizer computes."""

import importlib.util

import keras
import numpy as np
import pytest
from small_tokenizers import as_float, patch_vqgan, uint8_images

from keras_bidalle.image_tokenizers import CodeDecoder, CodeEncoder
from keras_bidalle.image_tokenizers.exporting import _ONE_ROW, _PACKAGES

BACKEND = keras.config.backend()


def onnx_runner(path):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path))
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def litert_runner(path):
    package = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = package.Interpreter(str(path))
    given = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run(x):
        interpreter.resize_tensor_input(given, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given, x)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


RUNNERS = {
    "onnx": ("tokenizer.onnx", onnx_runner),
    "litert": ("tokenizer.tflite", litert_runner),
}


@pytest.mark.parametrize("kind", RUNNERS)
def test_a_tokenizer_and_its_halves_answer_alike_elsewhere(kind, tmp_path):
    if (kind, BACKEND) == ("litert", "jax"):
        with pytest.raises(ValueError, match="needs one of the backends"):
            patch_vqgan().export(tmp_path / "x.tflite", format=kind)
        return
    package = _PACKAGES.get((kind, BACKEND))
    if package and importlib.util.find_spec(package[0]) is None:
        with pytest.raises(ImportError, match=f"pip install {package[1]}"):
            patch_vqgan().export(tmp_path / "x.tflite", format=kind)
        return
    tokenizer = patch_vqgan()
    rows = 1 if (kind, BACKEND) in _ONE_ROW else 3
    images = as_float(uint8_images(rows))
    codes = tokenizer.encode(images)
    pictures = tokenizer.decode(codes)
    name, runner = RUNNERS[kind]
    for model, given, expected in (
        (tokenizer, images, keras.ops.convert_to_numpy(tokenizer(images))),
        (CodeEncoder(tokenizer), images, codes),
        (CodeDecoder(tokenizer), codes, pictures),
    ):
        model.export(tmp_path / name, format=kind, verbose=False)
        found = runner(tmp_path / name)(given)
        np.testing.assert_allclose(found, expected, atol=1e-5)
