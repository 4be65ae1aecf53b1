"""CLIP: features of images and of captions in one space."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.backend.compiled import compiled, in_batches
from keras_bidalle.metrics.extractors.extractor import Extractor

# Radford et al., the released program: of pixels in [0, 255].
_MEAN = np.asarray([0.48145466, 0.4578275, 0.40821073], "float32")
_DEVIATION = np.asarray([0.26862954, 0.26130258, 0.27577711], "float32")
# Hessel et al., section 3.
_WEIGHT, _PREFIX = 2.5, "A photo depicts "


class CLIP:
    """Tells how well images and captions fit, by keras-hub's CLIP.

    Args:
        backbone: `keras_hub.models.CLIPBackbone`.
        tokenizer: `keras_hub.models.CLIPTokenizer`.
        name: str, which names the figures, such as "clip_vit_base_patch32".
        weights: str, where they are from.

    Example:

    ```python
    clip = CLIP.from_preset("clip_vit_base_patch32")
    clip.cosines(captions, images).mean()
    model.text_to_image(captions, best_of=16, scorer=clip.cosines)
    ```

    Reference:
        Radford et al., arXiv 2103.00020; Hessel et al., arXiv 2104.08718.
    """

    def __init__(
        self,
        backbone: Any,
        tokenizer: Any,
        name: str = "clip",
        weights: str = "",
    ) -> None:
        self.name = name
        self.weights = weights
        self._tokenizer = tokenizer
        self._length = backbone.text_encoder.max_sequence_length
        vision = backbone.vision_encoder
        size = vision.image_shape[0]

        def images_of(x: Any) -> Any:
            # The extractor gave p / 255.
            pixels = (x - ops.cast(_MEAN, x.dtype)) / ops.cast(
                _DEVIATION, x.dtype
            )
            return backbone.get_vision_embeddings(pixels)

        self.images = Extractor(
            name,
            images_of,
            [backbone],
            dimensions=int(backbone.vision_projection.units),
            size=(size, size),
            resize="clean",
            offset=0.0,
            divisor=255.0,
            weights=weights,
        )
        self._captions = compiled(backbone.get_text_embeddings, [backbone])

    @classmethod
    def from_preset(cls, preset: str) -> "CLIP":
        """Opens a preset of keras-hub.

        Args:
            preset: str, a folder or a handle such as
                "clip_vit_base_patch32", which is downloaded.

        Raises:
            ImportError: without keras-hub.
            ValueError: when there is no such preset.
        """
        try:
            import keras_hub
        except ImportError as error:
            raise ImportError(
                "CLIP needs keras-hub: pip install keras-hub"
            ) from error
        try:
            return cls(
                keras_hub.models.CLIPBackbone.from_preset(preset),
                keras_hub.models.CLIPTokenizer.from_preset(preset),
                f"clip_{str(preset).rstrip('/').rpartition('/')[2]}".replace(
                    "clip_clip", "clip"
                ),
                str(preset),
            )
        # What a missing folder or an unreachable hub raises is theirs.
        except Exception as error:
            raise ValueError(
                "CLIP's weights must be a folder or handle of a keras-hub "
                "preset, such as clip_vit_base_patch32 (downloaded from "
                f"kaggle.com). Received: {str(preset)!r} "
                f"({' '.join(str(error).split())[:80]})"
            ) from error

    def features_of_captions(
        self, captions: Any, batch_size: int = 64
    ) -> np.ndarray:
        """float32 (B, D) of a list of B str, cut to CLIP's length."""
        tokenizer = self._tokenizer
        start, end = tokenizer.start_token_id, tokenizer.end_token_id
        # The published models fill up with the end token.
        rows = np.full((len(captions), self._length), end, "int32")
        for row, tokens in zip(rows, tokenizer(list(captions)), strict=True):
            ids = np.asarray(tokens).ravel()[: self._length - 2]
            row[0] = start
            row[1 : len(ids) + 1] = ids
        return in_batches(
            self._captions,
            rows,
            batch_size,
            lambda part: part,
            np.zeros((0, self.images.dimensions), "float32"),
        )

    def cosines(self, captions: Any, images: Any) -> np.ndarray:
        """How well each image fits its caption: plain cosines.

        What the RQ-Transformer's programs report the mean of; others report
        100 times it. Serves as a `scorer` of `best_of`.

        Args:
            captions: list of B str.
            images: uint8 array (B, H, W, 3).

        Returns:
            float32 array (B,) in [-1, 1].
        """
        return (
            _unit(self.features_of_captions(captions))
            * _unit(self.images(images).features)
        ).sum(axis=1)

    def clip_score(self, captions: Any, images: Any) -> np.ndarray:
        """CLIPScore: 2.5 times the cosine with "A photo depicts ...".

        Args:
            captions, images: as in `cosines`.

        Returns:
            float32 array (B,) in [0, 2.5].

        Reference:
            Hessel et al., arXiv 2104.08718, section 3.
        """
        prompts = [_PREFIX + caption for caption in captions]
        return _WEIGHT * np.maximum(self.cosines(prompts, images), 0.0)


def _unit(features: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, 1e-12)
