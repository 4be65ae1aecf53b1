"""Image tokenizers in the formats of other programs, by Keras' own `export`.

Keras exports what calling a model does, so each half is a model of its own.
"""

import importlib.util
from typing import Any

import keras

from keras_bidalle.backend.current import backend_name
from keras_bidalle.messages import shown

# What Keras 3.15 needs besides a backend, by format and backend: the module
# that it imports and the package that has it.
_PACKAGES = {
    ("onnx", "tensorflow"): ("tf2onnx", "tf2onnx"),
    ("onnx", "jax"): ("jax2onnx", "jax2onnx"),
    ("onnx", "torch"): ("onnxscript", "onnxscript"),
    ("litert", "torch"): ("litert_torch", "litert-torch"),
}
_BACKENDS = {
    "onnx": ("tensorflow", "jax", "torch"),
    "litert": ("tensorflow", "torch"),
}
# Their converters have no way to say that the number of rows is open.
_ONE_ROW = (("litert", "torch"), ("onnx", "jax"))


def input_spec(name, dtype, batch, shape):
    """The `keras.InputSpec` of `batch` rows, or any number where `None`."""
    return keras.InputSpec(shape=(batch, *shape), dtype=dtype, name=name)


class Exporting:
    """`export` of a model with one input; mixed in before `keras.Model`."""

    def _input_spec_for_export(self, batch):
        """A `keras.InputSpec` of the input with so many rows, or `None`."""
        raise NotImplementedError

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=None,
        input_signature=None,
        **kwargs,
    ):
        """Exports what calling the model does, as `keras.Model.export` does.

        The input has any number of rows, or one in LiteRT files of PyTorch
        and ONNX files of JAX. For serving, see `export_serving`.

        Args:
            filepath: str or `pathlib.Path`; of LiteRT files it must end in
                `.tflite`.
            format: str, one of Keras' formats: "tf_saved_model", "onnx" (of
                TensorFlow, JAX and PyTorch), "litert" (of TensorFlow and
                PyTorch) and others.
            verbose, input_signature, **kwargs: as Keras takes them.

        Raises:
            ValueError: if Keras does not offer the format on this backend.
            ImportError: if a package that Keras needs for it is missing.
        """
        backend = backend_name()
        if backend not in _BACKENDS.get(format, (backend,)):
            raise ValueError(
                f"`format={shown(format)}` needs one of the backends "
                f"{', '.join(_BACKENDS[format])}. Received: {backend}"
            )
        module, package = _PACKAGES.get((format, backend), (None, None))
        if module and importlib.util.find_spec(module) is None:
            raise ImportError(
                f"`format={shown(format)}` on {backend} needs the package "
                f"{package}: pip install {package}"
            )
        if input_signature is None:
            rows = 1 if (format, backend) in _ONE_ROW else None
            input_signature = [self._input_spec_for_export(rows)]
        if (format, backend) == ("onnx", "torch"):
            _tell_torch_of_rms_norm()
        super().export(
            str(filepath),
            format=format,
            verbose=verbose,
            input_signature=input_signature,
            **kwargs,
        )


def _tell_torch_of_rms_norm():
    """Gives torch's exporter of open shapes an operation that is missing."""
    import torch
    from torch.onnx import symbolic_helper

    @symbolic_helper.parse_args("v", "v", "v", "f")
    def rms_norm(graph, x, shape, weight, epsilon):
        rank = len(list(shape.node().inputs()))
        axes = graph.op("Constant", value_t=torch.arange(-rank, 0))
        squares = graph.op("ReduceMean", graph.op("Mul", x, x), axes)
        epsilon = graph.op("Constant", value_t=torch.tensor(epsilon))
        root = graph.op("Sqrt", graph.op("Add", squares, epsilon))
        return graph.op("Mul", graph.op("Div", x, root), weight)

    # From the operator set on in which axes are an input.
    torch.onnx.register_custom_op_symbolic("aten::rms_norm", rms_norm, 18)


class _Half(Exporting, keras.Model):
    def __init__(self, tokenizer, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.built = True


class CodeEncoder(_Half):
    """The half of an image tokenizer that turns images into codes.

    From a float32 tensor (B, H, W, C) in [-1, 1] to an int32 tensor
    (B, *code_shape), with the weights of the `tokenizer` that it is given.

    Example:

    ```python
    image_tokenizers.CodeEncoder(tokenizer).export("enc.onnx", format="onnx")
    ```
    """

    def call(self, images: Any) -> Any:
        return self.tokenizer.to_codes(images)

    def _input_spec_for_export(self, batch):
        return input_spec(
            "images", "float32", batch, self.tokenizer.image_shape
        )


class CodeDecoder(_Half):
    """The half of an image tokenizer that turns codes into images.

    From an int32 tensor (B, *code_shape) to a float32 tensor (B, H, W, C) in
    [-1, 1]; see `CodeEncoder`.
    """

    def call(self, codes: Any) -> Any:
        return self.tokenizer.from_codes(codes)

    def _input_spec_for_export(self, batch):
        return input_spec("codes", "int32", batch, self.tokenizer.code_shape)
