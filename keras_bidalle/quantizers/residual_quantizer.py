"""Residual quantization: several codes a position, each refining the sum."""

import keras
from keras import ops

from keras_bidalle.quantizers.codebook_quantizer import (
    CodebookQuantizer,
    mean_square,
)
from keras_bidalle.quantizers.gumbel_noise import gumbel_noise
from keras_bidalle.quantizers.quantizer import (
    Quantizer,
    count_codes,
    straight_through,
)
from keras_bidalle.validation import check_at_least, check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class ResidualQuantizer(Quantizer):
    """Replaces each latent by a sum of `depth` codes.

    Each depth quantizes what the depths before it left over. The commitment
    loss looks at the partial sums, `beta * mean_d mean((z - sg[e_1 + ... +
    e_d])^2)`; learned codebooks are pulled to the residuals they quantize.
    With one shared codebook that is an average, it moves once for each depth.

    Args:
        quantizer: a `VectorQuantizer`, `OrthogonalVectorQuantizer` or
            `EMAVectorQuantizer`, or a list of them, one for each depth and
            of the same size. Their own `beta` plays no part.
        depth: int, the number of codes D for each position; may be left out
            with a list.
        shared: bool. With a single `quantizer`: whether all depths use its
            codebook, or each has a copy of its own.
        beta: float, the weight of the commitment loss.

    Call arguments:
        z: float tensor (B, ..., C).
        training: bool or `None`.

    Returns:
        Tensor (B, ..., C), straight-through.

    Raises:
        ValueError: if the quantizers do not fit each other or `depth`.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.ResidualQuantizer(
        keras_bidalle.quantizers.EMAVectorQuantizer(512, 16), depth=4
    )
    codes = quantizer.encode(keras.random.normal((2, 8, 8, 16)))
    codes.shape  # (2, 8, 8, 4)
    coarse = quantizer.decode(codes[..., :2])  # of the first two
    ```

    Reference:
        [Autoregressive Image Generation using Residual
        Quantization](https://arxiv.org/abs/2203.01941), Sec. 3.1.
    """

    def __init__(self, quantizer, depth=None, shared=True, beta=0.25, **kwargs):
        given = quantizer if isinstance(quantizer, list | tuple) else None
        if depth is None and given is not None:
            depth = len(given)
        check_positive(depth=depth)
        quantizers = list(given or [quantizer])
        for part in quantizers:
            if not isinstance(part, CodebookQuantizer):
                raise ValueError(
                    "`quantizer` must be a VectorQuantizer or "
                    "EMAVectorQuantizer, or a list of them. "
                    f"Received: {part!r}"
                )
        sizes = {(part.num_codes, part.code_dim) for part in quantizers}
        if len(sizes) > 1:
            raise ValueError(
                "`quantizer` must hold quantizers of the same (num_codes, "
                f"code_dim). Received: {sorted(sizes)}"
            )
        if given is not None and len(given) != depth:
            raise ValueError(
                f"`quantizer` must hold `depth`={depth} quantizers. "
                f"Received: {len(given)}"
            )
        first = quantizers[0]
        super().__init__(first.num_codes, first.code_dim, depth, **kwargs)
        check_at_least(beta=beta)
        self.shared = shared
        self.beta = beta
        self._given_as_list = given is not None
        if given is None and not shared:
            quantizers += [_copy(first, number) for number in range(1, depth)]
        # One for each depth, or the one that serves them all.
        self.quantizers = quantizers
        for part in self.quantizers:
            part.keeps_metrics = False

    @property
    def counts_shape(self):
        if self.has_one_codebook:
            return (self.num_codes,)
        return (self.depth, self.num_codes)

    @property
    def has_one_codebook(self):
        return len(self.quantizers) == 1

    def quantizer_at(self, depth):
        """The quantizer of a depth, counted from 0."""
        return self.quantizers[0 if self.has_one_codebook else depth]

    def build(self, input_shape):
        super().build(input_shape)
        for part in self.quantizers:
            if not part.built:
                part.build(input_shape)

    def apply_codebook(self, z, training=None):
        flat = ops.reshape(z, (-1, self.code_dim))
        learning = training and self.trainable
        residual, total = flat, ops.zeros_like(flat)
        commitment, codebook_loss = 0.0, 0.0
        all_codes, seen = [], []
        for depth in range(self.depth):
            part = self.quantizer_at(depth)
            is_first = depth == 0 or not self.has_one_codebook
            is_last = depth == self.depth - 1 or not self.has_one_codebook
            if learning and is_first:
                part.start([residual])
                seen = []
            codes, distance = part.nearest(residual)
            quantized = part.lookup(codes)
            total = total + quantized
            commitment += mean_square(flat - ops.stop_gradient(total))
            loss = part.codebook_loss(residual, quantized)
            codebook_loss += 0.0 if loss is None else loss
            if learning:
                vectors = ops.stop_gradient(residual)
                seen.append((vectors, codes, distance))
                part.learn(
                    vectors,
                    codes,
                    step=seen if is_last else None,
                    first=is_first,
                )
            residual = residual - ops.stop_gradient(quantized)
            all_codes.append(codes)
        self.add_loss((self.beta * commitment + codebook_loss) / self.depth)
        for part in self.quantizers:
            regularization = part.regularization_loss()
            if regularization is not None:
                self.add_loss(regularization)
        shape = ops.shape(z)
        quantized = ops.reshape(straight_through(flat, total), shape)
        codes = ops.stack(all_codes, axis=-1)
        return quantized, ops.reshape(codes, (*shape[:-1], self.depth))

    def count(self, codes):
        if self.has_one_codebook:
            return count_codes(codes, self.num_codes)
        counts = [
            count_codes(codes[..., depth], self.num_codes)
            for depth in range(self.depth)
        ]
        return ops.stack(counts)

    def encode(self, z):
        codes, _ = self._chain(
            z, lambda depth, r: self.quantizer_at(depth).encode(r)
        )
        return codes

    def stochastic_codes(self, z, temperature=1.0, seed=None):
        """Draws codes instead of taking the nearest ones.

        The code of each depth is drawn with the odds
        `softmax(-distance(r_d, e) / temperature)`, and what the drawn code
        leaves over goes on to the next depth. Training a generator on codes
        that are drawn anew each time, with `soft_targets` along the same
        residuals, closes the gap between what it is trained on and what it
        samples.

        Args:
            z: float tensor (B, ..., C).
            temperature: float, above 0; the nearer to 0, the nearer the
                drawn codes.
            seed: int (the same codes at each call, on one backend;
                TensorFlow draws others with XLA than without), a
                `keras.random.SeedGenerator` (others at each call), or `None`
                for the generators of the codebooks.

        Returns:
            Tuple of int32 codes (B, ..., depth) and float32 residuals
            (B, ..., depth, C): what each depth drew its code for. The
            residuals are small; `soft_targets` makes the odds of as many of
            them at a time as there is memory for.

        Reference:
            [Autoregressive Image Generation using Residual
            Quantization](https://arxiv.org/abs/2203.01941), Sec. 3.2.3.
        """
        _check_temperature(temperature)

        def draw(depth, residual):
            part = self.quantizer_at(depth)
            rows = ops.reshape(residual, (-1, self.code_dim))
            scores = -part.distance(rows, part.codebook) / temperature
            noise = gumbel_noise(ops.shape(scores), self._seed_at(depth, seed))
            drawn = ops.cast(ops.argmax(scores + noise, axis=-1), "int32")
            return ops.reshape(drawn, ops.shape(residual)[:-1])

        return self._chain(z, draw)

    def _seed_at(self, depth, seed):
        if seed is None:
            return self.quantizer_at(depth).seed_generator
        if isinstance(seed, int):
            # No two depths of any two seeds draw alike.
            return (seed * self.depth + depth) % 2**31
        return seed

    def residuals(self, z, codes):
        """What was left of the latents before each depth.

        Args:
            z: float tensor (B, ..., C).
            codes: integer tensor (B, ..., depth).

        Returns:
            float32 tensor (B, ..., depth, C), the first of them `z`.
        """
        codes = self.as_codes(codes)
        _, residuals = self._chain(z, lambda depth, _: codes[..., depth])
        return residuals

    def soft_targets(self, residuals, temperature=1.0):
        """Gives the odds of each code for residuals.

        `softmax(-distance(r_d, e) / temperature)`. They are K times as many
        numbers as there are codes: give a part of the residuals at a time,
        any positions.

        Args:
            residuals: float tensor (..., depth, C), of `stochastic_codes` or
                `residuals`.
            temperature: float, above 0.

        Returns:
            float32 tensor (..., depth, K), last dimension adding to 1.
        """
        _check_temperature(temperature)
        residuals = self.as_latents(residuals)
        if self.has_one_codebook:
            return self.quantizers[0].soft_codes(residuals, temperature)
        odds = [
            part.soft_codes(residuals[..., depth, :], temperature)
            for depth, part in enumerate(self.quantizers)
        ]
        return ops.stack(odds, axis=-2)

    def soft_codes(self, z, temperature=1.0):
        """Gives the odds of each code, at each depth of the nearest codes.

        `softmax(-distance(r_d, e) / temperature)`, with r_d what the nearest
        codes of the depths before left over.

        Args:
            z: float tensor (B, ..., C).
            temperature: float, above 0.

        Returns:
            float32 tensor (B, ..., depth, K), last dimension adding to 1.
        """
        residuals = self.residuals(z, self.encode(z))
        return self.soft_targets(residuals, temperature)

    def _chain(self, z, choose):
        """Codes and residuals of a chain, given how a depth chooses."""
        self.ensure_built()
        residual = self.as_latents(z)
        codes, residuals = [], []
        for depth in range(self.depth):
            residuals.append(residual)
            codes.append(ops.cast(choose(depth, residual), "int32"))
            vectors = self.quantizer_at(depth).lookup(codes[-1])
            residual = residual - ops.stop_gradient(vectors)
        return ops.stack(codes, axis=-1), ops.stack(residuals, axis=-2)

    def lookup(self, codes):
        """Gives the code vectors of each depth, not summed.

        Args:
            codes: integer tensor (B, ..., d), of the first d <= depth depths.

        Returns:
            float32 tensor (B, ..., d, C). Its `ops.cumsum` over axis -2 are
            the partial sums.

        Raises:
            ValueError: if there are more than `depth` codes a position.
        """
        self.ensure_built()
        codes = self.as_codes(codes)
        if not 1 <= codes.shape[-1] <= self.depth:
            raise ValueError(
                f"`codes` must have from 1 to `depth`={self.depth} codes in "
                f"the last dimension. Received: shape={tuple(codes.shape)}"
            )
        vectors = [
            self.quantizer_at(depth).lookup(codes[..., depth])
            for depth in range(codes.shape[-1])
        ]
        return ops.stack(vectors, axis=-2)

    def decode(self, codes):
        return ops.sum(self.lookup(codes), axis=-2)

    def get_config(self):
        config = super().get_config()
        del config["num_codes"], config["code_dim"]
        parts = [
            keras.saving.serialize_keras_object(part)
            for part in self.quantizers
        ]
        config.update(
            quantizer=parts if self._given_as_list else parts[0],
            depth=self.depth,
            shared=self.shared,
            beta=self.beta,
        )
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        quantizer = config.pop("quantizer")
        if isinstance(quantizer, list | tuple):
            quantizer = [
                keras.saving.deserialize_keras_object(part)
                for part in quantizer
            ]
        else:
            quantizer = keras.saving.deserialize_keras_object(quantizer)
        return cls(quantizer, **config)


def _check_temperature(temperature):
    if isinstance(temperature, int | float) and not temperature > 0:
        raise ValueError(
            "`temperature` must be above 0. "
            f"Received: temperature={temperature}"
        )


def _copy(quantizer, number):
    config = quantizer.get_config()
    config["name"] = f"{quantizer.name}_{number}"
    if config["seed"] is not None:
        config["seed"] += number
    return type(quantizer).from_config(config)
