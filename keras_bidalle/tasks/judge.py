"""What the judges of drawn images share: a few heads over one small network."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.arguments import kept_arguments
from keras_bidalle.backend.compiled import compiled, in_batches
from keras_bidalle.data.streams import as_dataset
from keras_bidalle.files import atomic_path
from keras_bidalle.tasks.task import Figures, Task


class Judge(keras.Model):
    """Base of classifiers from images to a dict of logits by head."""

    heads: tuple[str, ...]

    def read(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        """The likeliest class of each head, int32 (B, heads)."""
        # Not by `predict`: replicas would have to share its rows evenly.
        empty = np.zeros((0, len(self.heads)), "int32")
        return in_batches(self._read, images, batch_size, np.asarray, empty)

    @functools.cached_property
    def _read(self):
        return compiled(self._winners, [self])

    def _winners(self, images):
        logits = self(images, training=False)
        winners = [ops.argmax(logits[head], -1) for head in self.heads]
        return ops.cast(ops.stack(winners, axis=-1), "int32")

    def learn(
        self,
        make_batch: Callable[[int], Any],
        steps: int,
        learning_rate: float,
        weight_decay: float,
        verbose: Any = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **kwargs: Any,
    ) -> None:
        """Compiles and trains all heads alike.

        `make_batch` gives images and a dict of int labels by head, for a
        step; `kwargs` are for `compile`.
        """
        self.compile(
            keras.optimizers.AdamW(
                keras.optimizers.schedules.CosineDecay(
                    0.0,
                    steps,
                    warmup_target=learning_rate,
                    warmup_steps=steps // 10,
                ),
                weight_decay=weight_decay,
            ),
            loss={
                head: keras.losses.SparseCategoricalCrossentropy(
                    from_logits=True
                )
                for head in self.heads
            },
            **kwargs,
        )
        self.fit(
            as_dataset(make_batch),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=verbose,
            callbacks=list(callbacks),
        )

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **kept_arguments(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def shifted(
    images: np.ndarray,
    pixels: int,
    rng: np.random.Generator,
    mode: Any = "constant",
) -> np.ndarray:
    """Images (B, H, W, ...), each moved by up to so many pixels.

    `mode` is what `np.pad` fills the border with.
    """
    border = [(0, 0), *[(pixels, pixels)] * 2, *[(0, 0)] * (images.ndim - 3)]
    # windows[b, top, left] is a view into the padded image, (..., H, W).
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(images, border, mode=mode), images.shape[1:3], axis=(1, 2)
    )
    top, left = rng.integers(windows.shape[1], size=(2, len(images)))
    found = windows[np.arange(len(images)), top, left]
    return np.moveaxis(found, (-2, -1), (1, 2))


class JudgedTask(Task):
    """A task with a judge, which each run trains once and keeps.

    Attributes:
        classifier: the `Judge`, `None` before `prepare`.
    """

    classifier: Any = None

    def trained_judge(self) -> Judge:
        """A judge of the task's own images."""
        raise NotImplementedError

    def judge_figures(self) -> Figures:
        """How often the judge is right on images that it was not shown."""
        raise NotImplementedError

    def prepare(self, folder: Any) -> None:
        """Trains the judge, or loads it."""
        path = folder / "classifier.keras"
        if "classifier" in (folder.read("metrics.json") or {}):
            self.classifier = keras.saving.load_model(path)
            return
        self.classifier = self.trained_judge()
        with atomic_path(path) as temporary:
            self.classifier.save(temporary)
        folder.update_metrics(classifier=self.judge_figures())
