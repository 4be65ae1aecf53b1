"""What is computed of some examples, a direction each."""

import dataclasses
import json
from typing import Any

import numpy as np
from keras import ops
from PIL import Image, ImageFilter

from keras_bidalle.evaluation.examples import Rows
from keras_bidalle.evaluation.parts import Arrays
from keras_bidalle.evaluation.protocol import SAMPLES, Protocol
from keras_bidalle.metrics import psnr, ssim
from keras_bidalle.metrics.extractors import Extractor
from keras_bidalle.validation import as_uint8_images

# Sides below these are too short for a figure.
_SSIM_SIDE, _LPIPS_SIDE = 11, 16


@dataclasses.dataclass
class Subject:
    """A model, the examples, and what it is measured with.

    Attributes:
        tokenizer: `ImageTokenizer`.
        model: `TextImageModel`, or `None`.
        examples: `Examples`; `None` where stored statistics take their
            place.
        extractors: list of `Extractor`.
        protocol: `Protocol`.
        lpips: `keras_bidalle.losses.LPIPS`, or `None`.
        clip: `keras_bidalle.metrics.extractors.CLIP`, or `None`.
        judge: what tells how many parts of a caption an image shows, as
            `keras_bidalle.tasks.mnist64.MNIST64Judge`, or `None`.
        batch_size: int.
        samples: `ClassSamples`, or `Examples` of what was saved: images that
            are compared with the examples as a set; or `None`.
    """

    tokenizer: Any
    model: Any
    examples: Any
    extractors: list[Extractor]
    protocol: Protocol
    lpips: Any = None
    clip: Any = None
    judge: Any = None
    batch_size: int = 32
    samples: Any = None

    def rows(self, name: str) -> Any:
        """What a direction is measured of, in parts: has `read`."""
        return self.samples if name in SAMPLES else self.examples

    def seeds(self, indices: np.ndarray) -> list[int]:
        """The seed of each example."""
        return (1000 * self.protocol.seed + np.asarray(indices)).tolist()


def originals(subject: Subject, rows: Rows) -> Arrays:
    """Features of the examples themselves."""
    return {"indices": rows.indices, **_features(subject, rows.images)}


def reconstruction(subject: Subject, rows: Rows) -> Arrays:
    """Figures of each reconstruction, its features, and its codes."""
    made, codes = reconstructed(subject, rows.images)
    found = _features(subject, made)
    found["row/psnr"] = _numpy(psnr(rows.images, made))
    if min(made.shape[1:3]) >= _SSIM_SIDE:
        found["row/ssim"] = _numpy(ssim(rows.images, made))
    if subject.lpips is not None and min(made.shape[1:3]) >= _LPIPS_SIDE:
        found["row/lpips_vgg"] = _numpy(
            subject.lpips(
                *(
                    ops.convert_to_tensor(
                        x.astype("float32") / 127.5 - 1.0, "float32"
                    )
                    for x in (rows.images, made)
                )
            )
        )
    if subject.judge is not None:
        found["judged"] = subject.judge.of_images(made, rows.indices)
    counts = np.bincount(codes.ravel(), minlength=subject.tokenizer.num_codes)
    # One row, however many examples: counts are added up.
    found["codes"] = counts[None]
    return {"indices": rows.indices, **found}


def reconstructed(
    subject: Subject, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Reconstructions, uint8, and their codes."""
    tokenizer, size = subject.tokenizer, subject.batch_size
    codes = tokenizer.encode(images, batch_size=size)
    return as_uint8_images(tokenizer.decode(codes, batch_size=size)), codes


def text_to_image(subject: Subject, rows: Rows) -> Arrays:
    """Features of what is drawn of the examples' first captions."""
    captions = [lines[0] for lines in rows.captions]
    made = drawn(subject, captions, rows.indices)
    found = _features(subject, made)
    found |= _clip_figures(subject, captions, made)
    if subject.judge is not None:
        found["judged"] = subject.judge.of_images(made, rows.indices)
    return {"indices": rows.indices, **found}


def drawn(
    subject: Subject, captions: list[str], indices: np.ndarray
) -> np.ndarray:
    """What the model draws of captions: uint8 (B, H, W, C)."""
    protocol = subject.protocol
    return subject.model.text_to_image(
        captions,
        seed=subject.seeds(indices),
        batch_size=subject.batch_size,
        best_of=protocol.best_of,
        scorer=_scorer(subject, indices),
        **protocol.sampling,
    )


def _scorer(subject: Subject, indices: np.ndarray) -> Any:
    """What ranks the candidates of captions; `None` for the model itself."""
    protocol, judge = subject.protocol, subject.judge
    if protocol.best_of is None or protocol.rank_by == "model":
        return None
    if protocol.rank_by != "judge":
        return None if subject.clip is None else subject.clip.cosines

    def share(captions: list[str], images: np.ndarray) -> np.ndarray:
        rows = np.repeat(indices, len(images) // len(indices))
        return judge.shares(judge.of_images(images, rows), rows)

    return share


def samples(subject: Subject, rows: Rows) -> Arrays:
    """Features of images that are compared with the data as a set."""
    found = {"indices": rows.indices, **_features(subject, rows.images)}
    captions = [lines[0] for lines in rows.captions if lines]
    if len(captions) == len(rows.images):
        found |= _clip_figures(subject, captions, rows.images)
    return found


def image_to_text(subject: Subject, rows: Rows) -> Arrays:
    """What is written of the examples."""
    written = subject.model.image_to_text(
        rows.images,
        seed=subject.seeds(rows.indices),
        batch_size=subject.batch_size,
    )
    found: Arrays = {
        "written": np.asarray(written, "str"),
        "references": np.asarray([json.dumps(row) for row in rows.captions]),
    }
    found |= _clip_figures(subject, written, rows.images)
    if subject.judge is not None:
        found["judged"] = subject.judge.of_captions(written, rows.indices)
    return {"indices": rows.indices, **found}


def _clip_figures(
    subject: Subject, captions: list[str], images: np.ndarray
) -> Arrays:
    clip = subject.clip
    if clip is None:
        return {}
    return {
        f"row/cosine_{clip.name}": clip.cosines(captions, images),
        f"row/clip_score_{clip.name}": clip.clip_score(captions, images),
    }


def _features(subject: Subject, images: np.ndarray) -> Arrays:
    found: Arrays = {}
    for extractor in subject.extractors:
        for radius in (0.0, *subject.protocol.blurs):
            pixels = blurred(images, radius)
            made = extractor(pixels, batch_size=subject.batch_size)
            name = extractor.name + (f"@{radius:g}" if radius else "")
            found[f"features/{name}"] = made.features
            if made.probabilities is not None and not radius:
                found[f"classes/{name}"] = made.probabilities
    return found


def blurred(images: np.ndarray, radius: float) -> np.ndarray:
    """Pillow's Gaussian blur, whose radius is the deviation in pixels."""
    if not radius:
        return images
    return np.stack(
        [
            np.asarray(
                Image.fromarray(image.squeeze()).filter(
                    ImageFilter.GaussianBlur(radius)
                )
            ).reshape(image.shape)
            for image in images
        ]
    )


def _numpy(values: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(values), "float64")


MEASURES = {
    "originals": originals,
    "reconstruction": reconstruction,
    "text_to_image": text_to_image,
    "image_to_text": image_to_text,
    **dict.fromkeys(SAMPLES, samples),
}
