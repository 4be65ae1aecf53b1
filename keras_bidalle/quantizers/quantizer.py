"""The contract of all quantizers: latents in, codes and code vectors out."""

import math
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_bidalle.arguments import Configured
from keras_bidalle.backend import replicas
from keras_bidalle.backend.keras_internals import ReplicaLosses
from keras_bidalle.backend.state_guard import StateGuard, moved_by_calls
from keras_bidalle.quantizers.codebook_metrics import (
    CodebookMetric,
    CodebookUsage,
    Perplexity,
)
from keras_bidalle.validation import check_positive


def count_codes(codes, num_codes):
    """How often each code was chosen over all replicas, float32 (K,)."""
    codes = ops.reshape(codes, (-1,))
    ones = ops.ones_like(codes, dtype="float32")
    counts = ops.segment_sum(ones, codes, num_segments=num_codes)
    return replicas.all_reduce_sum(counts)


def freeze_parts(layer: Any, parts: Iterable[Any]) -> None:
    """Hands `trainable=False` of a constructor on to the parts of a layer.

    Keras does so when the attribute is changed later, not by itself.
    """
    if not layer.trainable:
        for part in parts:
            part.trainable = False


class Quantizer(Configured, ReplicaLosses, keras.layers.Layer):
    """Base of the layers that replace latents by entries of a codebook.

    Call it between an encoder and a decoder: its output has the values of
    code vectors and passes gradients on to the encoder. Its losses go through
    `add_loss`, in training and evaluation.
    It computes in float32 whatever the dtype policy, and gives its output in
    the policy's compute dtype. `fit` and `evaluate` show two metrics of the
    epoch, over the global batch: `codebook_usage` and `perplexity`.

    On JAX the stock trainer cannot see these metrics before the end of an
    epoch; a model that overrides `compute_loss` may call `update_metrics()`
    there to have them in the logs of each step too.

    Subclasses implement `apply_codebook`, `encode` and `decode`.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.

    Call arguments:
        z: float tensor (B, ..., C), the latents.
        training: bool or `None`. The codebook moves only if `True`; at
            `None` the metrics too stay as they are.

    Returns:
        Tensor (B, ..., C) of code vectors, in the compute dtype, with
        gradients to `z`.
    """

    # Number of codes for each position, or `None` where there is one and the
    # codes have no axis for it.
    code_depth: Any = None
    # How many latents a side one code, or one stack of them, stands for.
    patch_size: int = 1

    def __init__(self, num_codes: int, code_dim: int, **kwargs: Any) -> None:
        # The inputs come in as they are: float32 latents stay float32.
        super().__init__(autocast=False, **kwargs)
        check_positive(num_codes=num_codes, code_dim=code_dim)
        self.num_codes = num_codes
        self.code_dim = self.input_dim = self.output_dim = code_dim
        # Not so inside another quantizer, which shows its own.
        self.keeps_metrics = True
        self._codebook_metrics: list[CodebookMetric] = []

    @property
    def counts_shape(self) -> Any:
        """Shape of the counts behind the metrics, codes last."""
        return (self.num_codes,)

    @property
    def counted_codes(self) -> Any:
        """How many codes there are to count, in all codebooks."""
        return math.prod(self.counts_shape)

    @property
    def codebook_sizes(self) -> Any:
        """What codes lie below: `num_codes`, or one number for each depth."""
        return self.num_codes

    def build(self, input_shape: Any) -> Any:
        self.check_channels(input_shape)
        self.epoch_counts = self.add_state(
            "epoch_counts", self.counts_shape, "zeros"
        )
        self._codebook_metrics = [
            CodebookUsage(
                self.epoch_counts, self.counted_codes, name="codebook_usage"
            ),
            Perplexity(self.epoch_counts, name="perplexity"),
        ]

    def check_channels(self, shape: Any) -> Any:
        """Raises a `ValueError` on a shape of latents with other channels."""
        if not len(shape) or shape[-1] != self.input_dim:
            name = (
                "code_dim" if self.input_dim == self.code_dim else "input_dim"
            )
            raise ValueError(
                f"{self.__class__.__name__} expects latents whose last "
                f"dimension is `{name}`={self.input_dim}. "
                f"Received: shape={tuple(shape)}"
            )

    def add_state(self, name: Any, shape: Any, initializer: Any) -> Any:
        """Adds a float32 weight that `call` moves and no optimizer does."""
        return moved_by_calls(self.add_constant(name, shape, initializer))

    def add_constant(self, name: Any, shape: Any, initializer: Any) -> Any:
        """Adds a float32 weight that neither `call` nor optimizers move."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            dtype="float32",
            trainable=False,
            # In bfloat16 a slow average never moves.
            autocast=False,
            # All replicas write the same value.
            aggregation="only_first_replica",
        )

    def ensure_built(self) -> Any:
        """Creates the weights, for use without a call on latents."""
        if not self.built:
            self.build((None, self.input_dim))

    def call(self, z: Any, training: bool | None = None) -> Any:
        z = self.as_latents(z)
        quantized = self.apply_and_record(z, [z], training)
        return ops.cast(quantized, self.compute_dtype)

    def apply_and_record(self, z: Any, latents: Any, training: Any) -> Any:
        """`apply_codebook`, moving state if a list of latents is finite."""
        guard = StateGuard(self, latents) if training else None
        quantized, codes = self.apply_codebook(z, training=training)
        if training is not None:
            self.epoch_counts.assign(self.epoch_counts + self.count(codes))
        if guard is not None:
            guard.end()
        if training is not None:
            self.update_metrics()
        return quantized

    def apply_codebook(self, z: Any, training: bool | None = None) -> Any:
        """Quantizes, adds the losses and, in training, moves the statistics.

        Returns:
            Tuple of a float32 tensor (B, ..., C) with gradients and the int32
            codes.
        """
        raise NotImplementedError

    def apply_to_levels(self, levels: Any, training: bool | None = None) -> Any:
        """Does `apply_codebook` for a list of latents of several levels.

        Returns:
            Tuple of two lists, of the quantized latents and of the codes.
        """
        results = [self.apply_codebook(z, training=training) for z in levels]
        quantized, codes = zip(*results, strict=True)
        return list(quantized), list(codes)

    def encode(self, z: Any) -> Any:
        """Gives the codes of latents.

        Args:
            z: float tensor (B, ..., C).

        Returns:
            int32 tensor (B, ...), or (B, ..., code_depth).

        Raises:
            ValueError: if `z` has other channels.
        """
        raise NotImplementedError

    def decode(self, codes: Any) -> Any:
        """Gives the code vectors of codes.

        Args:
            codes: integer tensor (B, ...), or (B, ..., code_depth), values in
                [0, `num_codes`).

        Returns:
            float32 tensor (B, ..., C).

        Raises:
            TypeError: if `codes` are not integers.
        """
        raise NotImplementedError

    def as_latents(self, z: Any) -> Any:
        z = ops.cast(ops.convert_to_tensor(z), "float32")
        self.check_channels(z.shape)
        return z

    def as_codes(self, codes: Any) -> Any:
        codes = ops.convert_to_tensor(codes)
        dtype = keras.backend.standardize_dtype(codes.dtype)
        if not dtype.startswith(("int", "uint")):
            raise TypeError(
                f"`codes` must be integers. Received: dtype={dtype}"
            )
        return ops.cast(codes, "int32")

    def count(self, codes: Any) -> Any:
        """Counts of the codes, float32, of shape `counts_shape`."""
        return count_codes(codes, self.num_codes)

    def update_metrics(self) -> Any:
        """Brings the metrics up to date with the counts of the epoch."""
        for metric in self._codebook_metrics:
            metric.update_state()

    @property
    def metrics(self) -> Any:
        # Without those of inner quantizers, which have the same names.
        return list(self._codebook_metrics) if self.keeps_metrics else []

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape[:-1]) + (self.output_dim,)
