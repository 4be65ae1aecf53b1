"""What a model finds likely to be said of one image, with the odds."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_bidalle.backend.compiled import row_batches
from keras_bidalle.captions.caption_list import caption_list
from keras_bidalle.text_image_model import TextImageModel
from keras_bidalle.validation import refused


def written_captions(
    model: TextImageModel,
    image: Any,
    samples: int = 48,
    seed: int = 0,
    batch_size: int = 64,
) -> list[str]:
    """Writes the different captions that a model has for one image.

    Args:
        model: `keras_bidalle.TextImageModel`.
        image: array (H, W, C), uint8 in [0, 255] or float in [-1, 1].
        samples: int, how many are drawn, beside the likeliest words.
        seed: int, of what is drawn.
        batch_size: int, how many are drawn at once.

    Returns:
        list of different str, the likeliest words first. Those that are
        empty, or never end, are left out: there may be none.

    Raises:
        ValueError, TypeError: as `image_to_text`.
    """
    images = np.asarray(image)[None]
    written = model.image_to_text(images, temperature=0.0)
    drawn = model.image_to_text(
        images,
        seed=seed,
        temperature=1.0,
        num_samples=samples,
        batch_size=batch_size,
    )
    # Of one sample there is no list of lists.
    written += drawn if samples == 1 else drawn[0]
    return list(filter(model.caption_tokenizer.takes, dict.fromkeys(written)))


def likeliest_captions(
    model: TextImageModel,
    image: Any,
    captions: Sequence[str],
    batch_size: int = 64,
    progress: Callable[[int], Any] | None = None,
) -> list[tuple[str, float]]:
    """Orders captions by how likely a model finds them of one image.

    Args:
        model: `keras_bidalle.TextImageModel`.
        image: array (H, W, C), uint8 in [0, 255] or float in [-1, 1].
        captions: list of str, the candidates. Those that are the same tokens
            count once, as the first of them is written.
        batch_size: int, how many are scored at once.
        progress: function of the number of captions scored so far, or
            `None`.

    Returns:
        list of tuples of a caption and its odds, a float in [0, 1], the
        likeliest first. Odds are the softmax of `score_captions`. They sum
        to 1: they weigh the candidates against each other, not against all
        that could be said.

    Raises:
        ValueError: where there are no captions, or the model does not take
            one of them or the image.
        TypeError: on an image of a wrong dtype.

    Example:

    ```python
    names = evaluation.written_captions(model, image)
    for caption, odds in evaluation.likeliest_captions(model, image, names):
        print(f"{odds:.1%} {caption}")
    ```
    """
    captions = caption_list(captions)
    if not captions:
        raise refused("not be empty", captions=captions)
    text = model.caption_tokenizer.encode(captions)
    _, firsts = np.unique(text, axis=0, return_index=True)
    captions = [captions[i] for i in firsts]
    nats = captions_scored(model, image, captions, batch_size, progress)
    nats = nats.astype("float64")
    shares = np.exp(nats - nats.max())
    shares /= shares.sum()
    order = np.argsort(-nats, kind="stable")
    return [(captions[i], float(shares[i])) for i in order]


def captions_scored(
    model: TextImageModel,
    image: Any,
    captions: Sequence[str],
    batch_size: int = 64,
    progress: Callable[[int], Any] | None = None,
) -> np.ndarray:
    """Scores captions of one image, which is encoded once.

    Args:
        model, image, captions, batch_size, progress: as of
            `likeliest_captions`.

    Returns:
        float32 array (B,), what `score_captions` gives of copies of the image.

    Raises:
        ValueError, TypeError: as of `score_captions`.
    """
    text = model.caption_tokenizer.encode(caption_list(captions))
    # Captions as long as each other, which are then cut to what they need.
    lengths = np.sum(text != model.caption_tokenizer.pad_id, axis=1)
    order = np.argsort(lengths, kind="stable")
    text = text[order]
    codes = model.image_tokenizer.encode(np.asarray(image)[None])
    scores = np.zeros((len(text),), "float32")
    done = 0
    for rows, count in row_batches(len(text), batch_size):
        copies = np.repeat(codes, len(rows), axis=0)
        found = model.generator.score_text(text[rows], copies, len(rows))
        scores[order[done : done + count]] = found[:count]
        done += count
        if progress is not None:
            progress(done)
    return scores
