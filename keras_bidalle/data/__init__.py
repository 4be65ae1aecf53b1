"""Data: readers of images and captions, and streams for `fit`."""

import warnings
from typing import Any

from keras_bidalle.data.caption_files import read_captions
from keras_bidalle.data.captioned_folder import captioned_folder
from keras_bidalle.data.code_cache import cached_codes, fingerprint
from keras_bidalle.data.crops import (
    CenterCrop,
    DALLECrop,
    RandomCrop,
    RandomResizedCrop,
    crop_named,
)
from keras_bidalle.data.fake_images import FakeImages
from keras_bidalle.data.image_batches import ImageBatches, ImageReader
from keras_bidalle.data.image_folder import ImageFolder
from keras_bidalle.data.image_opening import (
    ImageError,
    image_files,
    open_image,
)
from keras_bidalle.data.image_source import ImageSource, Record
from keras_bidalle.data.image_text_folder import ImageTextFolder
from keras_bidalle.data.source_parts import SourcePart, hold_out
from keras_bidalle.data.streams import (
    BatchStream,
    as_dataset,
    own_rows,
    rows_per_process,
)
from keras_bidalle.data.tar_images import TarImages
from keras_bidalle.data.tfds_images import TFDSImages

__all__ = [
    "BatchStream",
    "CenterCrop",
    "DALLECrop",
    "FakeImages",
    "ImageFolder",
    "ImageTextFolder",
    "ImageBatches",
    "ImageError",
    "ImageReader",
    "ImageSource",
    "RandomCrop",
    "RandomResizedCrop",
    "Record",
    "TFDSImages",
    "TarImages",
    "as_dataset",
    "cached_codes",
    "captioned_folder",
    "crop_named",
    "fingerprint",
    "hold_out",
    "SourcePart",
    "open_image",
    "own_rows",
    "image_files",
    "read_captions",
    "rows_per_process",
]

_OLD_NAMES = {
    "CentreCrop": "CenterCrop",
    "FakePictures": "FakeImages",
    "PictureBatches": "ImageBatches",
    "PictureError": "ImageError",
    "PictureReader": "ImageReader",
    "PictureSource": "ImageSource",
    "TFDSPictures": "TFDSImages",
    "TarPictures": "TarImages",
    "open_picture": "open_image",
    "picture_files": "image_files",
}


def __getattr__(name: str) -> Any:
    """What programs of version 0.1 call by the names of that time."""
    if name not in _OLD_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _OLD_NAMES[name]
    warnings.warn(
        f"`data.{name}` is `data.{new}` now.", DeprecationWarning, stacklevel=2
    )
    return globals()[new]
