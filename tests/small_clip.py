"""CLIP by a small backbone with random weights, which knows letters."""

import keras
import keras_hub

from keras_bidalle.metrics.extractors import CLIP

models = keras_hub.models


class Words:
    """A tokenizer of the letters, with CLIP's two special tokens."""

    start_token_id, end_token_id = 28, 29

    def __call__(self, captions):
        return [[ord(c) % 26 for c in text if c != " "] for text in captions]


def small_clip():
    """A `CLIP` of 8 features, the same each time."""
    keras.utils.set_random_seed(0)
    sizes = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2}
    sizes |= {"intermediate_dim": 16, "intermediate_activation": "quick_gelu"}
    vision = models.CLIPVisionEncoder(
        patch_size=8, image_shape=(16, 16, 3), **sizes
    )
    text = models.CLIPTextEncoder(
        vocabulary_size=30, embedding_dim=16, max_sequence_length=12, **sizes
    )
    return CLIP(models.CLIPBackbone(vision, text, 8), Words(), "clip_small")
