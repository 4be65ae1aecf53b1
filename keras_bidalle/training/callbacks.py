"""What TensorBoard shows of a run: its logs, and what the model makes."""

import contextlib
from typing import Any

import numpy as np

from keras_bidalle.training.pictures import picture_grid
from keras_bidalle.training.steps import StepCallback


class ScalarSummaries(StepCallback):
    """Logs what `fit` reports, by the global step.

    Epoch figures come under `epoch/<name>` and validation figures under
    `validation/<name>`; with `every_steps` the running figures come under
    `train/<name>` too.

    Args:
        writer: a `SummaryWriter`.
        every_steps: int or `None`, steps between logs within an epoch.
    """

    def __init__(self, writer: Any, every_steps: int | None = None) -> None:
        super().__init__()
        self.writer = writer
        self.every_steps = every_steps

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.every_steps is None:
            return
        step = self.steps_done(batch)
        if step % self.every_steps == 0:
            for name, value in (logs or {}).items():
                self.writer.scalar(f"train/{name}", value, step)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        step = self.steps_done(self.epoch_steps - 1)
        for name, value in (logs or {}).items():
            figure = name.removeprefix("val_")
            kind = "epoch" if figure == name else "validation"
            self.writer.scalar(f"{kind}/{figure}", value, step)
        # A MultiOptimizer has several rates and refuses to name one.
        with contextlib.suppress(AttributeError):
            rate = float(self.model.optimizer.learning_rate)
            self.writer.scalar("epoch/learning_rate", rate, step)


class _EpochSummaries(StepCallback):
    """Calls `function` at epoch ends and hands on what it gives."""

    def __init__(self, writer, function, tag, every_epochs=1):
        super().__init__()
        self.writer = writer
        self.function = function
        self.tag = tag
        self.every_epochs = every_epochs

    def on_epoch_end(self, epoch, logs=None):
        last = epoch + 1 == self.params.get("epochs")
        if last or (epoch + 1) % self.every_epochs == 0:
            self.write(self.function(), self.steps_done(self.epoch_steps - 1))


class ImageSummaries(_EpochSummaries):
    """Logs images that the model makes, at epoch ends.

    Args:
        writer: a `SummaryWriter`.
        function: callable without arguments that gives uint8 images
            (B, H, W, 3), shown as a grid, or one image (H, W, 3).
        tag: str, the name in TensorBoard.
        every_epochs: int, epochs between images; the last one always has
            them.

    Example:

    ```python
    ImageSummaries(writer, lambda: model.text_to_image(captions), "samples")
    ```
    """

    def write(self, pictures: Any, step: int) -> None:
        pictures = np.asarray(pictures)
        if pictures.ndim == 4:
            pictures = picture_grid(pictures)
        self.writer.image(self.tag, pictures, step)


class TextSummaries(_EpochSummaries):
    """Logs text that the model writes, as `ImageSummaries` logs images.

    `function` gives a str, or a list of them, shown as a list.
    """

    def write(self, text: str, step: int) -> None:
        if not isinstance(text, str):
            text = "\n".join(f"- {line}" for line in text)
        self.writer.text(self.tag, text, step)
