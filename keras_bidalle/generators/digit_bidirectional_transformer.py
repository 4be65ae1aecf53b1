"""A bidirectional transformer over codes of large codebooks, by digits."""

import keras

from keras_bidalle.generators.bidirectional_transformer import (
    BidirectionalTransformer,
)
from keras_bidalle.generators.heads.digits import DigitHead


@keras.saving.register_keras_serializable(package="keras_bidalle")
class DigitBidirectionalTransformer(BidirectionalTransformer):
    """A `Generator` with one code at each position, of several digits.

    For the codes of `FSQ`, `LFQ` and `BSQ`, whose digits mean something each,
    where tables of all K codes would be large.

    Args:
        code_digits: tuple of int, how many kinds each digit of a code has,
            the lowest first; their product is `num_codes` (see
            `grouped_digits`).
        digit_head_width: int, hidden channels of the network that predicts
            the digits of a code. Default: 192.
        **options: as in `BidirectionalTransformer`.

    Returns (when called):
        as `Generator`, with `image_logits` of shape (B, P, digits,
        max(code_digits)).

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.LFQ(18)
    generator = DigitBidirectionalTransformer(
        **sizes, num_codes=2**18, code_digits=grouped_digits([2] * 18, 512)
    )
    ```

    Reference:
        Open-MAGVIT2, arXiv 2409.04410, section 3.2.
    """

    head_types = (DigitHead,)
    own_options = {**BidirectionalTransformer.own_options, "code_digits": ()}

    @classmethod
    def checked_options(cls, given: dict, width: int) -> dict:
        options = super().checked_options(given, width)
        options["code_digits"] = tuple(options["code_digits"])
        return options
