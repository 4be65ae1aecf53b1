"""What sampling asks of a way to fill rows."""

from typing import Any

from keras_bidalle.named import Named
from keras_bidalle.sampling.decoders.targets import (
    Captions,
    Codes,
    Progress,
    Target,
)


class Decoder(Named):
    """Fills rows of both directions; what it draws depends on no decoder.

    A decoder gives `filled`, which serves both directions, or `codes` and
    `text`; one of a single direction is a subclass of `Sequential`. All are
    compiled: pure functions of the generator's weights and of their tensor
    arguments. A random number is given for each token, so that all decoders
    draw the same tokens.

    Attributes:
        window: int, positions that `filled` draws at once; `None` where they
            are drawn one after the other.
    """

    window: int | None = None

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
        target = Codes(generator, text, uniforms, settings, self.window)
        return self.filled(target, target.begin(prime), prime.shape[1])

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
        target = Captions(
            generator, stacks, uniforms, legal, settings, self.window
        )
        return self.filled(target, target.begin(), 1)[..., 0]

    def filled(self, target: Target, progress: Progress, given: int) -> Any:
        """Draws what is not drawn yet.

        Args:
            target: `Codes` or `Captions`.
            progress: what its `begin` gave, of `given` positions.
            given: int.

        Returns:
            int32 tensor (B, target.count, c).
        """
        raise NotImplementedError
