"""TensorBoard event files, without TensorFlow or PyTorch.

`keras.callbacks.TensorBoard` needs TensorFlow and shows no images.
"""

import io
import os
import pathlib
import socket
import time
from typing import Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

from keras_bidalle.backend import replicas
from keras_bidalle.files import as_path


class SummaryWriter:
    """Writes scalars, images and text for TensorBoard.

    Each call is on disk when it returns: a killed run shows all it logged.
    Of several processes that train together only the first one writes.

    Args:
        folder: str or `pathlib.Path`; `tensorboard --logdir` of it, or of a
            folder above it, shows the events.
        resumed_at: int or `None`, the step a resumed run goes on from.
            TensorBoard drops what the cut run had logged after it.

    Example:

    ```python
    with SummaryWriter("runs/first/events") as writer:
        writer.scalar("loss", 0.5, step=100)
        writer.image("reconstructions", grid(images), step=100)
    ```
    """

    _count = 0

    def __init__(
        self, folder: str | pathlib.Path, resumed_at: int | None = None
    ) -> None:
        self.folder = as_path("folder", folder)
        # The name TensorBoard looks for; it reads them in alphabetical order.
        SummaryWriter._count += 1
        name = (
            f"events.out.tfevents.{int(time.time()):010d}."
            f"{socket.gethostname()}.{os.getpid()}.{SummaryWriter._count:06d}"
        )
        if replicas.is_first_process():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self.folder / name, "wb")
        else:
            self._file = open(os.devnull, "wb")
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        if resumed_at is not None:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(step=resumed_at + 1, session_log=start))

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Logs a number under `tag`."""
        self._value(step, Summary.Value(tag=tag, simple_value=float(value)))

    def image(self, tag: str, image: Any, step: int) -> None:
        """Logs an image under `tag`.

        Args:
            tag: str.
            image: uint8 array (H, W, 3); see
                `keras_bidalle.training.picture_grid` for several at once.
            step: int.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                "`image` must be uint8 of shape (H, W, 3). Received: "
                f"dtype={image.dtype}, shape={image.shape}"
            )
        encoded = io.BytesIO()
        Image.fromarray(image).save(encoded, format="PNG")
        picture = Summary.Image(
            height=image.shape[0],
            width=image.shape[1],
            colorspace=3,
            encoded_image_string=encoded.getvalue(),
        )
        self._value(step, Summary.Value(tag=tag, image=picture))

    def text(self, tag: str, text: str, step: int) -> None:
        """Logs `text`, read as Markdown, under `tag`."""
        tensor = TensorProto(
            dtype=DT_STRING,
            string_val=[text.encode("utf-8")],
            tensor_shape=TensorShapeProto(),
        )
        plugin = SummaryMetadata.PluginData(plugin_name="text")
        metadata = SummaryMetadata(plugin_data=plugin)
        value = Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
        self._value(step, value)

    def close(self) -> None:
        """Closes the file. Closing twice is allowed."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _value(self, step, value):
        self._write(Event(step=int(step), summary=Summary(value=[value])))

    def _write(self, event):
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._file.flush()
