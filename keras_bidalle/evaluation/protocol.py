"""What is measured, and how: whatever changes a figure stands here."""

import dataclasses
from typing import Any

from keras_bidalle.metrics.extractors.resizing import check_resize
from keras_bidalle.validation import check_choice, check_positive

DIRECTIONS = ("reconstruction", "text_to_image", "image_to_text")
# What is compared with the data as a set, and not picture by picture.
SAMPLES = ("class_to_image", "saved_samples")
# What candidates are ranked by.
RANKINGS = ("model", "clip", "judge", "classifier")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a model is measured.

    Attributes:
        directions: tuple of "reconstruction", "text_to_image" and
            "image_to_text"; or "class_to_image" or "saved_samples" alone.
        count: int, examples; `None` for all of the data.
        seed: int, of the examples and of what is drawn: example i has the
            seed `seed * 1000 + i`.
        resize: str, how images are scaled for extractors; `None` for each
            extractor's own rule.
        blurs: tuple of float, radii of Gaussian blurs in pixels (Pillow's,
            where the radius is the deviation), that both sets go through
            for further Frechet distances: FID-k of DALL-E, Figure 9.
        best_of: int or `None`, candidates of which one is kept.
        rank_by: str, what is kept of them: what the "model" finds likely,
            "clip" fitting, the task's "judge" right, or of the images of a
            class those that a "classifier" is surest of. `None`: by the
            classifier of classes, else by CLIP where there is one.
        samples: int or `None`, images that are drawn of classes, as many of
            each.
        neighbors: tuple of two int, k of precision and recall, and of
            density and coverage.
        splits: int, of the Inception score.
        replicates: int, of the bootstrap.
        kept: int, features of a set that kernel distances, neighbors and
            the bootstrap are computed of, at most.
        sampling: dict of sampling settings of text to image.

    Raises:
        ValueError: on an unknown direction or rule, or counts below 1.
    """

    directions: tuple[str, ...] = DIRECTIONS
    count: int | None = None
    seed: int = 0
    resize: str | None = None
    blurs: tuple[float, ...] = ()
    best_of: int | None = None
    rank_by: str | None = None
    samples: int | None = None
    neighbors: tuple[int, int] = (3, 5)
    splits: int = 10
    replicates: int = 20
    kept: int = 10_000
    sampling: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.directions) - {*DIRECTIONS, *SAMPLES}
        if unknown or not self.directions:
            raise ValueError(
                f"`directions` must be of {', '.join(DIRECTIONS)}. "
                f"Received: {list(self.directions)}"
            )
        if self.resize is not None:
            check_resize(self.resize)
        check_positive(replicates=self.replicates, kept=self.kept)
        check_choice((None, *RANKINGS), rank_by=self.rank_by)
        if self.count is not None:
            check_positive(count=self.count)

    def config(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)
