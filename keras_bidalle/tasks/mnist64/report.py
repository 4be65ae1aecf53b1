"""All figures of the MNIST64 task, for a tokenizer and for both directions."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.metrics.psnr import psnr
from keras_bidalle.metrics.translation_equivariance import (
    translation_equivariance,
)
from keras_bidalle.tasks.mnist64.accuracy import (
    caption_accuracy,
    image_accuracy,
)
from keras_bidalle.tasks.mnist64.evaluation import MNIST64Images
from keras_bidalle.tasks.mnist64.pictures import MNIST64
from keras_bidalle.validation import as_uint8_images


def tokenizer_report(
    tokenizer: Any,
    task: MNIST64,
    classifier: Any,
    count: int = 1000,
) -> dict[str, Any]:
    """Measures an image tokenizer on items it was not trained on.

    Args:
        tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer`.
        task: `MNIST64` of the split "unseen_instances".
        classifier: `keras_bidalle.tasks.mnist64.ItemClassifier`.
        count: int, images for PSNR and the classifier; a fifth as many
            groups of translated images.

    Returns:
        dict: `psnr` in dB; `translation_equivariance`,
        `foreground_translation_equivariance`, `codebook_usage` and
        `perplexity` over the translated groups; and under `reading` what
        share of clauses the classifier reads in the reconstructions. Of a
        tokenizer with codes of several levels, `psnr` alone.
    """
    batch = task.sample(count, seed=(0, 0))
    reconstructions = tokenizer.reconstruct(batch.images)
    seen = psnr(batch.images, as_uint8_images(reconstructions))
    report: dict[str, Any] = {"psnr": float(ops.mean(seen))}
    if len(tokenizer.code_shape) == 1:
        return report
    report |= equivariance_report(tokenizer, task, count // 5)
    reading = image_accuracy(
        reconstructions, batch.clauses, batch.layouts, classifier
    )
    return report | {"reading": reading["overall"]}


def equivariance_report(
    tokenizer: Any, task: MNIST64, num_groups: int
) -> dict[str, float]:
    """Translation equivariance and codebook use, of items at five places.

    Args:
        tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer` of codes
            (h, w) or (h, w, depth).
        task: `MNIST64` of the split that the items are drawn from.
        num_groups: int, items; each is encoded at its five places.

    Returns:
        dict, as `keras_bidalle.metrics.translation_equivariance` gives it.
    """
    groups = task.translated_groups(num_groups, seed=(0, 1))
    codes = tokenizer.encode(groups.reshape(-1, *groups.shape[2:]))
    return translation_equivariance(
        codes.reshape(*groups.shape[:2], *codes.shape[1:]),
        tokenizer.num_codes,
        groups,
    )


def both_directions_report(
    model: Any,
    task: MNIST64,
    classifier: Any,
    per_layout: int = 100,
    sampling: dict[str, Any] | None = None,
    batch_size: int = 64,
    progress: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Measures both directions on one split.

    Args:
        model: `keras_bidalle.TextImageModel`.
        task: `keras_bidalle.tasks.mnist64.MNIST64` of an unseen split.
        classifier: `keras_bidalle.tasks.mnist64.ItemClassifier`.
        per_layout: int, images of each of the five layouts.
        sampling: dict of arguments of `text_to_image`, or `None`.
        batch_size: int, images sampled at once.
        progress: function of a direction and the number of its samples done
            so far, or `None`.

    Returns:
        dict of `image_to_text`, as `caption_accuracy` gives it, and
        `text_to_image`, as `image_accuracy`.
    """
    batches = MNIST64Images(task, per_layout).batches
    images, clauses, layouts = (
        np.concatenate([getattr(batch, name) for batch in batches])
        for name in ("images", "clauses", "layouts")
    )
    captions = [text for batch in batches for text in batch.captions]

    def of(direction):
        return progress and functools.partial(progress, direction)

    written = model.image_to_text(
        images, batch_size=batch_size, progress=of("image_to_text")
    )
    drawn = model.text_to_image(
        captions,
        seed=np.arange(len(captions)),
        batch_size=batch_size,
        progress=of("text_to_image"),
        **(sampling or {}),
    )
    return {
        "image_to_text": caption_accuracy(
            written, clauses, layouts, task.grammar
        ),
        "text_to_image": image_accuracy(drawn, clauses, layouts, classifier),
    }
