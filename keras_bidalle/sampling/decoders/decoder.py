"""What sampling asks of a way to fill rows."""

from typing import Any

from keras_bidalle.named import Named


class Decoder(Named):
    """Fills rows of both directions; what it draws depends on no decoder.

    `codes` and `text` are compiled: pure functions of the generator's
    weights and of their tensor arguments. A random number is given for each
    token, so that all decoders draw the same tokens. A decoder of one
    direction is a subclass of `Sequential`.
    """

    def chosen(self, generator: Any, rows: int) -> "Decoder":
        """What fills so many rows at once: this, or another in its place."""
        return self

    def codes(
        self,
        generator: Any,
        text: Any,
        uniforms: Any,
        prime: Any,
        settings: dict,
    ) -> Any:
        """Continues images, given captions.

        Args:
            generator: `Generator`.
            text: int32 tensor (U, T), the captions, of each of which B / U
                rows are drawn, one after the other.
            uniforms: float32 tensor (B, P, c) in [0, 1).
            prime: int32 tensor (B, n, c), the first n < P positions of each
                image; n may be 0.
            settings: dict from names in the table of settings to tensors
                (B,), or (B, c) with a value for each code of a position.

        Returns:
            int32 tensor (B, P, c), `prime` first.
        """
        raise NotImplementedError

    def text(
        self,
        generator: Any,
        stacks: Any,
        uniforms: Any,
        legal: Any,
        settings: dict,
    ) -> Any:
        """Writes captions, given images.

        Args:
            generator: `Generator`.
            stacks: int32 tensor (U, P, c), as the captions of `codes`.
            uniforms: float32 tensor (B, T) in [0, 1).
            legal: float32 tensor (text_classes,), 0 for tokens that may be
                written and very negative for others.
            settings: as of `codes`, tensors (B,).

        Returns:
            int32 tensor (B, T): the start token, the caption, the end token,
            and pad tokens.
        """
        raise NotImplementedError
