"""Images of TensorFlow Datasets, by name."""

import functools
import os
import threading

import numpy as np

from keras_bidalle.data.image_opening import ImageError
from keras_bidalle.data.image_source import MIXED_BLOCKS, ImageSource, Record
from keras_bidalle.messages import shown
from keras_bidalle.validation import refused


class TFDSImages(ImageSource):
    """A split of a data set of TensorFlow Datasets.

    Images stay encoded until they are used. Records are read in blocks by
    their place in the split, so a run goes on at any step; a few blocks are
    kept, what shuffling mixes.

    Args:
        name: str, such as `"coco_captions"` or `"imagenet2012:5.*.*"`. It is
            downloaded and prepared on first use.
        split: str, such as `"train"` or `"train[:90%]"`.
        image: str, the feature with the image, an image or an array
            that `open_image` takes.
        captions: str, the feature with the captions, `"captions/text"` for
            one inside another. It may be text, a sequence of texts, or a
            class label, whose name is then the caption. `None` for none.
        data_dir: str or `pathlib.Path`, where data sets are kept; `None` for
            TensorFlow Datasets' own place.

    Raises:
        ValueError: when the data set has no such split or feature, or the
            split is empty.

    """

    block_size = 64
    # Beside those that are mixed, as threads that read a batch may have gone
    # on to the next ones.
    _KEPT_BLOCKS = MIXED_BLOCKS + 8

    def __init__(
        self,
        name: str,
        split: str = "train",
        image: str = "image",
        captions: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        import tensorflow as tf
        import tensorflow_datasets as tfds

        # What a damaged file of records raises.
        self._damage = tf.errors.OpError
        self._builder = tfds.builder(name, data_dir=data_dir)
        # At once where it is prepared already.
        self._builder.download_and_prepare()
        self.dataset = name
        self.split = split
        self._image = image
        self._captions = captions
        features = self._builder.info.features
        _feature(features, [image], "image")
        self._class_names = None
        if captions is not None:
            feature = _feature(features, captions.split("/"), "captions")
            feature = getattr(feature, "feature", feature)
            if isinstance(feature, tfds.features.ClassLabel):
                self._class_names = feature.int2str
            elif feature.np_dtype not in (np.object_, np.str_, np.bytes_):
                raise ValueError(
                    "`captions` must be a feature of texts or of class "
                    f"labels. Received: captions={shown(captions)}, {feature}"
                )
        # Encoded as they are stored: one image decoder for all sources.
        # Other images, such as masks, are not decoded at all.
        self._decoders = {
            name: tfds.decode.SkipDecoding()
            for name, feature in features.items()
            if isinstance(feature, tfds.features.Image)
        }
        # One file after the other, and nothing kept that is read once.
        self._reading = tfds.ReadConfig(
            interleave_cycle_length=1, try_autocache=False
        )
        self._split_name, self._first, self._length = _resolved(
            tfds, split, self._builder.info.splits
        )
        self._block = functools.lru_cache(self._KEPT_BLOCKS)(self._read_block)
        self._lock = threading.Lock()
        self.description = (
            f"{self._length} records of TensorFlow Datasets {name}, {split}"
        )

    def __len__(self):
        return self._length

    def name(self, index: int) -> str:
        return f"{self.dataset} {self.split} record {index}"

    def read(self, index: int) -> Record:
        block, place = divmod(index, self.block_size)
        with self._lock:
            example = self._block(block)[place]
        try:
            captions = self._captions_of(example)
        # Not UTF-8, or no class.
        except ValueError as error:
            raise ImageError(f"{self.name(index)}: {error}") from error
        if self._captions is not None and not captions:
            raise ImageError(f"{self.name(index)}: it has no caption")
        return Record(example[self._image], captions)

    def _read_block(self, number):
        first = self._first + number * self.block_size
        last = min(first + self.block_size, self._first + self._length)
        part = f"{self._split_name}[{first}:{last}]"
        examples = self._builder.as_dataset(
            split=part,
            shuffle_files=False,
            decoders=self._decoders,
            read_config=self._reading,
        )
        try:
            return [_as_numpy(example) for example in examples]
        except self._damage as error:
            raise ImageError(
                f"{self.dataset} {part} is damaged: {error}"
            ) from error

    def _captions_of(self, example):
        if self._captions is None:
            return []
        value = example
        for part in self._captions.split("/"):
            value = value[part]
        texts = np.asarray(value).ravel().tolist()
        if self._class_names is not None:
            # Test splits without classes have -1, which counts from the end.
            if min(texts, default=0) < 0:
                raise ValueError("its class is not known")
            return [self._class_names(label) for label in texts]
        texts = [
            t.decode("utf-8") if isinstance(t, bytes) else t for t in texts
        ]
        return [" ".join(text.split()) for text in texts if text.strip()]


def _feature(features, path, argument):
    for part in path:
        inner = getattr(features, "feature", features)
        known = sorted(inner.keys()) if hasattr(inner, "keys") else []
        if part not in known:
            raise ValueError(
                f"`{argument}` must be a feature of the data set, "
                f"{', '.join(known) or 'which has none here'}. "
                f"Received: {argument}={shown('/'.join(path))}"
            )
        features = inner[part]
    return features


def _resolved(tfds, split, known):
    """A split's name, its first record, and how many it has."""
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(known)
    # One kind of error for an unknown name, others for a wrong slice.
    except Exception as error:
        raise ValueError(
            f"`split` must be one of {', '.join(sorted(known))}, or a slice "
            f"such as 'train[:90%]'. Received: split={shown(split)} ({error})"
        ) from error
    if len(parts) != 1:
        raise refused("be one split or a slice of one", split=split)
    (part,) = parts
    first = part.from_ or 0
    last = known[part.splitname].num_examples if part.to is None else part.to
    if last <= first:
        raise ValueError(f"The split is empty. Received: split={shown(split)}")
    return part.splitname, first, last - first


def _as_numpy(example):
    """An example of tensors, nested in dicts, as NumPy values."""
    if isinstance(example, dict):
        return {name: _as_numpy(value) for name, value in example.items()}
    # Texts of a sequence may be ragged.
    if hasattr(example, "to_list"):
        return np.asarray(example.to_list(), object)
    return example.numpy() if hasattr(example, "numpy") else example
