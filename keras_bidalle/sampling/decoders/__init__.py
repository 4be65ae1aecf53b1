"""Ways to fill rows, by the names that `decoder=` takes."""

from keras_bidalle.sampling.decoders.fastest import Fastest
from keras_bidalle.sampling.decoders.fixed_point import FixedPoint
from keras_bidalle.sampling.decoders.sequential import Decoder, Sequential

# The lines that name decoders: one each.
DECODERS: dict[str, type[Decoder]] = {
    "auto": Fastest,
    "fixed_point": FixedPoint,
    "sequential": Sequential,
}

__all__ = ["DECODERS", "Decoder", "Fastest", "FixedPoint", "Sequential"]
