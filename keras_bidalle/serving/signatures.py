"""What a server offers: the signatures of a model, as TensorFlow functions.

Each function takes inputs whose first dimension is the number of rows, which
is how a server merges requests, checks them, and computes every row from
that row's inputs alone.
"""

import numpy as np
import tensorflow as tf

from keras_bidalle.backend.xla import without_xla
from keras_bidalle.sampling.decoders import Sequential
from keras_bidalle.serving import pictures
from keras_bidalle.serving.prompts import Prompts
from keras_bidalle.serving.requests import (
    INPUT_SETTINGS,
    require,
    require_rows,
    require_settings,
)
from keras_bidalle.serving.uniforms import row_uniforms

# The inputs of signatures: shapes and dtypes.
_ROWS = (None,)
_PROMPT = {"prompt": (_ROWS, tf.string)}
_PICTURE = {"image_bytes": (_ROWS, tf.string)}


class TokenizerSignatures:
    """`encode_image` and `decode_codes` of an image tokenizer."""

    default = "encode_image"

    def __init__(self, tokenizer):
        if tokenizer.image_shape[-1] != 3:
            raise ValueError(
                "`export_serving` needs a tokenizer of pictures with 3 "
                f"channels. Received: image_shape={tokenizer.image_shape}"
            )
        self._tokenizer = tokenizer
        self.module = tf.Module()
        self.module.tokenizer = _values(tokenizer)

    def signatures(self):
        """Traces all signatures: dict from name to `ConcreteFunction`."""
        codes = ((None, *self._tokenizer.code_shape), tf.int32)
        return {
            "encode_image": _function(self.encode_image, _PICTURE),
            "decode_codes": _function(self.decode_codes, {"codes": codes}),
        }

    def encode_image(self, image_bytes):
        return {"codes": self._codes_of(image_bytes)}

    def decode_codes(self, codes):
        count = self._tokenizer.num_codes
        check = require(
            tf.reduce_all((codes >= 0) & (codes < count)),
            f"`codes` must lie in [0, {count}).",
            tf.reduce_min(codes),
            tf.reduce_max(codes),
        )
        with tf.control_dependencies([*require_rows({"codes": codes}), check]):
            codes = tf.identity(codes)
        return {"image_bytes": self._pictures_of(codes)}

    def _codes_of(self, image_bytes):
        shape = self._tokenizer.image_shape
        images = pictures.read_pictures(image_bytes, shape)
        images = pictures.as_model_images(images)
        codes = self._tokenizer.to_codes(images)
        return tf.ensure_shape(codes, (None, *self._tokenizer.code_shape))

    def _pictures_of(self, codes):
        return pictures.write_pictures(self._tokenizer.from_codes(codes))


class ModelSignatures(TokenizerSignatures):
    """Both directions of a `TextImageModel`, and its tokenizer's signatures."""

    default = "text_to_image"

    def __init__(self, model):
        super().__init__(model.image_tokenizer)
        self._model = model
        self._generator = model.generator
        self._prompts = Prompts(model.caption_tokenizer)
        self.module.prompts = self._prompts
        self.module.generator = _values(model.generator)
        self._legal = model.legal_tokens()

    def signatures(self):
        signatures = super().signatures()
        for name, function, condition in (
            ("text_to_image", self.text_to_image, _PROMPT),
            ("image_to_text", self.image_to_text, _PICTURE),
        ):
            inputs = {**condition, **_inputs(self._generator, guided=False)}
            signatures[name] = _function(function, inputs)
            # A signature of its own: guidance doubles the work.
            more = _inputs(self._generator, guided=True)
            if more:
                signatures[f"{name}_guided"] = _function(
                    function, {**inputs, **more}
                )
        return signatures

    def text_to_image(self, prompt, **settings):
        prompt, seed, settings = self._checked("prompt", prompt, settings)
        generator = self._generator
        stack = generator.head.codes_per_position
        text = self._prompts.encode(prompt)
        uniforms = row_uniforms(seed, (generator.layout.num_positions, stack))
        prime = tf.zeros([tf.shape(text)[0], 0, stack], tf.int32)
        with without_xla():
            stacks = Sequential().codes(
                generator, text, uniforms, prime, settings
            )
        codes = tf.cast(generator.head.from_positions(stacks), tf.int32)
        return {"image_bytes": self._pictures_of(codes), "codes": codes}

    def image_to_text(self, image_bytes, **settings):
        image_bytes, seed, settings = self._checked(
            "image_bytes", image_bytes, settings
        )
        generator = self._generator
        stacks = generator.head.to_positions(self._codes_of(image_bytes))
        uniforms = row_uniforms(seed, (generator.text_length,))
        with without_xla():
            tokens = Sequential().text(
                generator, stacks, uniforms, tf.constant(self._legal), settings
            )
        return {"text": self._prompts.decode(tokens)}

    def _checked(self, name, condition, settings):
        """The inputs of a request, once they are known to be right."""
        checks = require_rows({name: condition, **settings})
        checks += require_settings(settings)
        with tf.control_dependencies(checks):
            condition = tf.identity(condition)
            settings = {k: tf.identity(v) for k, v in settings.items()}
        return condition, settings.pop("seed"), settings


def _inputs(generator, guided):
    """The settings that are inputs: dict from name to shape and dtype."""
    return {
        name: (_ROWS, tf.as_dtype(setting.dtype))
        for name, setting in INPUT_SETTINGS.items()
        if (setting.needs is not None) == guided
        and (not guided or getattr(generator, setting.needs))
    }


def _values(model):
    return [variable.value for variable in model.variables]


def _function(function, inputs):
    # Keras' layers need no source analysis.
    function = tf.function(function, autograph=False)
    return function.get_concrete_function(
        **{
            name: tf.TensorSpec(shape, dtype, name=name)
            for name, (shape, dtype) in inputs.items()
        }
    )


def inputs_of(function):
    """The inputs of a signature: dict from name to `tf.TensorSpec`."""
    specs = tf.nest.flatten(function.structured_input_signature)
    return {spec.name: spec for spec in specs}


def example_inputs(signatures, picture, prompt, rows=1):
    """One request for each signature, as NumPy arrays."""
    values = {
        "image_bytes": picture,
        "prompt": prompt.encode() if prompt else b"",
        **{name: s.examples[0] for name, s in INPUT_SETTINGS.items()},
    }
    requests = {}
    for name, function in signatures.items():
        requests[name] = {}
        for key, spec in inputs_of(function).items():
            dtype = object if spec.dtype == tf.string else spec.dtype.name
            shape = (rows, *spec.shape[1:])
            requests[name][key] = np.full(shape, values.get(key, 0), dtype)
    return requests
