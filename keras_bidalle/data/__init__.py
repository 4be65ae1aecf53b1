"""Data: readers of pictures and captions, MNIST64, and streams for `fit`."""

from keras_bidalle.data.caption_files import read_captions
from keras_bidalle.data.code_cache import cached_codes, fingerprint
from keras_bidalle.data.crops import (
    CentreCrop,
    DALLECrop,
    RandomCrop,
    RandomResizedCrop,
)
from keras_bidalle.data.fake_pictures import FakePictures
from keras_bidalle.data.image_folder import ImageFolder
from keras_bidalle.data.image_text_folder import ImageTextFolder
from keras_bidalle.data.own_rows import own_rows
from keras_bidalle.data.picture_batches import PictureBatches, PictureReader
from keras_bidalle.data.picture_source import PictureSource, Record
from keras_bidalle.data.pictures import (
    PictureError,
    open_picture,
    picture_files,
)
from keras_bidalle.data.streams import BatchStream, as_dataset
from keras_bidalle.data.tar_pictures import TarPictures
from keras_bidalle.data.tfds_pictures import TFDSPictures

__all__ = [
    "BatchStream",
    "CentreCrop",
    "DALLECrop",
    "FakePictures",
    "ImageFolder",
    "ImageTextFolder",
    "PictureBatches",
    "PictureError",
    "PictureReader",
    "PictureSource",
    "RandomCrop",
    "RandomResizedCrop",
    "Record",
    "TFDSPictures",
    "TarPictures",
    "as_dataset",
    "cached_codes",
    "fingerprint",
    "open_picture",
    "own_rows",
    "picture_files",
    "read_captions",
]
