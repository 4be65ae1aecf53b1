"""What callers ask of a generator beside settings, checked, as arrays."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle import named
from keras_bidalle.messages import shown
from keras_bidalle.sampling.calls import OPTIONS
from keras_bidalle.sampling.decoders import DECODERS, Decoder
from keras_bidalle.sampling.settings import checked_settings
from keras_bidalle.validation import (
    as_array,
    as_codes,
    as_indices,
    as_model_images,
    check_positive,
    refused,
)

# Samples of one call, which are all kept until its end.
_MOST_ROWS = 1 << 20


class Request:
    """How a caller wants rows drawn, checked.

    Args:
        direction: str, `TEXT_TO_IMAGE` or `IMAGE_TO_TEXT`.
        count: int, the number of rows.
        seed, options: as of `Generator.generate_codes`.
        generator: `Generator`, which is to sample.

    Attributes:
        settings: dict from name to NumPy array with an entry a sample.
        seeds: list with a tuple of int for each sample.
        num_samples, batch_size, progress, decoder: as in `calls.OPTIONS`.
    """

    def __init__(
        self,
        direction: str,
        count: int,
        seed: Any,
        options: Mapping[str, Any],
        generator: Any,
    ):
        how = {name: default for name, (default, _) in OPTIONS.items()}
        how.update((k, v) for k, v in options.items() if k in how)
        settings = {k: v for k, v in options.items() if k not in how}
        counts = {name: how[name] for name in ("num_samples", "batch_size")}
        check_positive(**counts)
        if count * counts["num_samples"] > _MOST_ROWS:
            raise ValueError(
                f"`num_samples` must be at most {_MOST_ROWS // count:,} of "
                f"{count} rows, {_MOST_ROWS:,} samples in all. "
                f"Received: num_samples={shown(counts['num_samples'])}"
            )
        self.num_samples, self.batch_size = map(int, counts.values())
        self.progress = how["progress"]
        self.decoder = named.get("decoder", how["decoder"], Decoder, DECODERS)
        self.settings = self.each_sample(
            checked_settings(
                settings, direction, count, generator, self.num_samples > 1
            )
        )
        samples = range(self.num_samples)
        self.seeds = [
            (s, j) for s in checked_seeds(seed, count) for j in samples
        ]

    def each_sample(self, values: Any) -> Any:
        """Arrays with an entry a row as arrays with an entry a sample."""
        return keras.tree.map_structure(
            lambda array: np.repeat(array, self.num_samples, axis=0), values
        )


def checked_text(text, generator):
    """Rows of caption tokens: int32 (B, T)."""
    text = as_array("text", text)
    length, vocabulary = generator.text_length, generator.text_vocabulary_size
    if (
        text.ndim != 2
        or text.shape[1] != length
        or text.dtype.kind not in "iu"
        or (text.size and (text.min() < 0 or text.max() >= vocabulary))
    ):
        raise ValueError(
            f"`text` must be integers of shape (batch, {length}) in [0, "
            f"{vocabulary}). Received: shape={text.shape}, dtype={text.dtype}"
        )
    return text.astype("int32")


def checked_stacks(codes, generator):
    """Codes of images as stacks: int32 (B, P, c)."""
    codes = as_codes(
        codes, generator.code_shape, generator.head.codebook_limits
    )
    stacks = generator.head.to_positions(ops.convert_to_tensor(codes))
    return ops.convert_to_numpy(stacks)


def check_captions(generator, call):
    """Raises a `ValueError` if the generator's condition is a class."""
    if generator.text_length == 1:
        raise ValueError(
            f"`{call}` needs a generator of captions. Received: one with "
            "text_length=1, whose condition is a class."
        )


def checked_prime(prime, count, generator):
    """The first positions of images, none by default: int32 (B, n, c)."""
    stack = generator.head.codes_per_position
    positions = generator.layout.num_positions
    if prime is None:
        return np.zeros((count, 0, stack), "int32")
    prime = as_array("prime", prime)
    if (
        prime.ndim != 3
        or (prime.shape[0], prime.shape[2]) != (count, stack)
        or prime.shape[1] >= positions
    ):
        raise ValueError(
            f"`prime` must have shape ({count}, n, {stack}) with n below "
            f"{positions}. Received: shape={prime.shape}"
        )
    return as_indices(prime, generator.head.stack_limits, "prime")


def checked_legal(legal, generator):
    """What captions may be written with, all words by default."""
    if legal is None:
        return generator.captions.legal()
    legal = as_array("legal", legal)
    classes = generator.captions.text_classes
    if (
        legal.shape != (classes,)
        or legal.dtype.kind not in "iuf"
        or np.isnan(legal).any()
        or legal.max() < -1e8
    ):
        raise ValueError(
            f"`legal` must be {classes} numbers, 0 for tokens that may be "
            "written and very negative for others. Received: "
            f"legal={shown(legal)}"
        )
    return legal.astype("float32")


def encoded_prime(prime, count, image_tokenizer, generator):
    """Codes of images' top parts (count, h, W, C), for `generate_codes`."""
    if prime is None:
        return None
    prime = as_array("prime", prime)
    height, width, channels = image_tokenizer.image_shape
    rows, columns = generator.layout.grid
    step = height // rows
    given = prime.shape[1] if prime.ndim == 4 else 0
    if (
        prime.shape != (count, given, width, channels)
        or given % step
        or not 0 < given < height
    ):
        raise ValueError(
            f"`prime` must have shape ({count}, h, {width}, {channels}) with "
            f"h a multiple of {step} below {height}. "
            f"Received: shape={prime.shape}"
        )
    prime = as_model_images(prime, prime.shape[1:], "prime")
    # The tokenizer takes whole images; the part below the cut repeats the
    # last row, as its padding does at a border.
    whole = np.concatenate(
        [prime, np.repeat(prime[:, -1:], height - given, axis=1)], axis=1
    )
    stacks = generator.head.to_positions(image_tokenizer.encode(whole))
    return ops.convert_to_numpy(stacks)[:, : given // step * columns]


def checked_seeds(seed, count):
    """list of B int."""
    seeds = as_array("seed", seed)
    if (
        seeds.dtype.kind not in "iu"
        or seeds.shape not in ((), (count,))
        or (seeds < 0).any()
    ):
        raise refused(
            f"be an integer in [0, 2^64), or {count} of them", seed=seed
        )
    return np.broadcast_to(seeds, (count,)).tolist()
