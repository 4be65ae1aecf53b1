"""Data: readers of images and captions, and streams for `fit`."""

from keras_bidalle.data.caption_files import read_captions
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
from keras_bidalle.data.own_rows import own_rows
from keras_bidalle.data.streams import BatchStream, as_dataset
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
    "crop_named",
    "fingerprint",
    "open_image",
    "own_rows",
    "image_files",
    "read_captions",
]


def __getattr__(name: str) -> type:
    # Names of before, while programs still have them.
    renamed = {
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
    if name in renamed:
        return globals()[renamed[name]]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
