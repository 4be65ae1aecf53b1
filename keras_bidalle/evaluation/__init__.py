"""Protocols: a model measured on a data set, with a report."""

from keras_bidalle.evaluation.directions import Subject
from keras_bidalle.evaluation.evaluate import evaluate
from keras_bidalle.evaluation.examples import Examples
from keras_bidalle.evaluation.likeliest import (
    likeliest_captions,
    written_captions,
)
from keras_bidalle.evaluation.opening import EXTRACTORS, open_extractor
from keras_bidalle.evaluation.protocol import DIRECTIONS, Protocol
from keras_bidalle.evaluation.samples import (
    ClassSamples,
    SavedImages,
    export_adm_npz,
)

__all__ = [
    "ClassSamples",
    "DIRECTIONS",
    "EXTRACTORS",
    "Examples",
    "Protocol",
    "SavedImages",
    "Subject",
    "evaluate",
    "export_adm_npz",
    "likeliest_captions",
    "open_extractor",
    "written_captions",
]
