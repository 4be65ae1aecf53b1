"""Trains for ever and saves after every step, to be killed at any moment."""

import sys

from small_runs import STEPS_PER_EPOCH, small_model, stream

from keras_bidalle.training import ResumableCheckpoint, resumable_fit

resumable_fit(
    small_model(units=4096),
    stream,
    ResumableCheckpoint(sys.argv[1], every_steps=1),
    epochs=10_000,
    steps_per_epoch=STEPS_PER_EPOCH,
)
