"""Trains for ever and saves after every step, to be killed at any moment."""

import sys

from keras_bidalle.training import ResumableCheckpoint
from keras_bidalle.training import resumable_fit
from small_runs import STEPS_PER_EPOCH
from small_runs import small_model
from small_runs import stream

resumable_fit(
    small_model(units=4096),
    stream,
    ResumableCheckpoint(sys.argv[1], every_steps=1),
    epochs=10_000,
    steps_per_epoch=STEPS_PER_EPOCH,
)
