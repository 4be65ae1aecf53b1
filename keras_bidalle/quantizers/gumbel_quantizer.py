"""Quantization by a relaxed choice among codes: the Gumbel softmax."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.backend.extremes import argmax
from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.quantizers.gradient_estimators import StraightThrough
from keras_bidalle.quantizers.gumbel_noise import gumbel_noise
from keras_bidalle.quantizers.quantizer import Quantizer
from keras_bidalle.validation import (
    check_at_least,
    check_flag,
    check_positive_or_none,
)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class GumbelQuantizer(Quantizer):
    """Replaces each latent by codes mixed by a Gumbel softmax.

    A 1x1 projection gives logits over the codes. In training the output is a
    mixture of all code vectors, with weights `softmax((logits + g) /
    temperature)` and g Gumbel noise, so that everything gets gradients; else
    it is the code of the largest logit. The loss is the divergence of the
    logits' distribution from even use of the codes.

    `temperature` and `kl_weight` are variables, which the callbacks of
    `keras_bidalle.training.gumbel_schedules` move.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector, and the channels of the
            output.
        input_dim: int or `None`, the channels of the latents; by default
            `code_dim`.
        temperature: float, above 0, to begin with.
        kl_weight: float, to begin with.
        hard: bool. If `True`, training too outputs one code, with the
            gradients of the mixture (straight-through).
        seed: int or `None`, for the noise.

    Call arguments:
        z: float tensor (B, ..., input_dim).
        training: bool or `None`. Mixtures only if `True`.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.GumbelQuantizer(512, 64)
    latents = keras.random.normal((2, 8, 8, 64))
    quantizer(latents, training=True)
    quantizer.encode(latents)  # (2, 8, 8) int32
    ```

    Reference:
        [Categorical Reparameterization with
        Gumbel-Softmax](https://arxiv.org/abs/1611.01144); [Zero-Shot
        Text-to-Image Generation](https://arxiv.org/abs/2102.12092), Sec. 2.1.
    """

    kept_as = {"temperature": "_temperature", "kl_weight": "_kl_weight"}

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        input_dim: int | None = None,
        temperature: float = 1.0,
        kl_weight: float = 5e-4,
        hard: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_dim, **kwargs)
        check_positive_or_none(input_dim=input_dim)
        self.input_dim = code_dim if input_dim is None else input_dim
        check_at_least(1e-6, temperature=temperature)
        check_at_least(kl_weight=kl_weight)
        check_flag(hard=hard)
        self.hard = hard
        self.seed = seed
        self.seed_generator = NoiseSeedGenerator(seed)
        self.projection = keras.layers.Dense(
            num_codes,
            dtype="float32",
            # Keras does not hand `trainable=False` of a constructor on.
            trainable=self.trainable,
            name="projection",
        )
        self._temperature, self._kl_weight = temperature, kl_weight
        # Here and not in `build`, so that a schedule may come before data.
        self.temperature, self.kl_weight = (
            self.add_constant(name, (), keras.initializers.Constant(value))
            for name, value in (
                ("temperature", temperature),
                ("kl_weight", kl_weight),
            )
        )

    def build(self, input_shape: Any) -> Any:
        super().build(input_shape)
        self.projection.build(input_shape)
        self.embedding = self.add_weight(
            name="embedding",
            shape=(self.num_codes, self.code_dim),
            initializer="random_normal",
            dtype="float32",
            autocast=False,
        )

    @property
    def codebook(self) -> Any:
        """The code vectors, float32 tensor (K, C)."""
        return ops.convert_to_tensor(self.embedding)

    def logits(self, z: Any) -> Any:
        """The float32 logits (B, ..., K) of latents (B, ..., input_dim)."""
        self.ensure_built()
        return self.projection(self.as_latents(z))

    def apply_codebook(self, z: Any, training: Any = None) -> Any:
        logits = self.projection(z)
        self.add_loss(self.kl_weight * self.divergence(logits))
        codes = argmax(logits)
        if not training:
            return self.lookup(codes), codes
        noise = gumbel_noise(ops.shape(logits), self.seed_generator)
        noisy = (logits + noise) / self.temperature
        weights = ops.softmax(noisy, axis=-1)
        if self.hard:
            chosen = ops.one_hot(argmax(noisy), self.num_codes)
            weights = StraightThrough()(weights, ops.cast(chosen, "float32"))
        return ops.matmul(weights, self.codebook), codes

    def divergence(self, logits: Any) -> Any:
        """Mean KL divergence from even use, `sum_k q_k log(q_k K)`."""
        odds = ops.softmax(logits, axis=-1)
        # 1e-10 as in the published program.
        terms = odds * ops.log(odds * self.num_codes + 1e-10)
        return ops.mean(ops.sum(terms, axis=-1))

    def lookup(self, codes: Any) -> Any:
        return ops.take(self.codebook, codes, axis=0)

    def encode(self, z: Any) -> Any:
        return argmax(self.logits(z))

    def decode(self, codes: Any) -> Any:
        self.ensure_built()
        return self.lookup(self.as_codes(codes))
