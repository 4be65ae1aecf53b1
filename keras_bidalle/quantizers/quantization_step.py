"""The one loop of all quantizers that choose codes: search, look up, learn."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops


class Use(NamedTuple):
    """One search of a codebook in a training step, without gradients.

    Attributes:
        z: float32 tensor (N, C), the latents.
        codes: int32 tensor (N,), the codes chosen for them.
        distances: float32 tensor (N,), how far they are from their codes.
    """

    z: Any
    codes: Any
    distances: Any


class QuantizationStep:
    """A step of a model, in which one codebook is used once or several times.

    A residual quantizer uses a shared codebook once for each depth, a
    multi-level one once for each level. The start from data and the revival
    of dead codes look at all of these uses together. `latents` are those
    that are known before the first use.
    """

    def __init__(
        self, quantizer: Any, latents: Sequence[Any], training: bool | None
    ) -> None:
        self._quantizer = quantizer
        self._learning = bool(training and quantizer.trainable)
        self._uses: list[Use] = []
        if self._learning:
            quantizer.begin_step([ops.stop_gradient(z) for z in latents])

    def quantize(self, z: Any) -> tuple[Any, Any]:
        """Chooses codes (N,), with what the uses before have taught.

        Their vectors (N, C) come first, with gradients to the codebook alone.
        """
        if self._uses:
            self._quantizer.learn(self._uses)
        codes, distances = self._quantizer.nearest(z)
        if self._learning:
            self._uses.append(Use(ops.stop_gradient(z), codes, distances))
        return self._quantizer.lookup(codes), codes

    def end(self) -> None:
        if self._learning:
            self._quantizer.end_step(self._uses)
