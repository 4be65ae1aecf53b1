"""Keeps apart what replicas add to the loss of one layer.

The replicas of a `tf.distribute` strategy are threads that trace the same
layer by turns, and a turn ends where they exchange something. Keras keeps
`add_loss` in one list for all of them and empties it when a replica begins,
so that a layer that exchanges statistics loses the losses of the replica
before, or counts them twice.
"""

import threading


class ReplicaLosses:
    """Mixed into a layer before `keras.layers.Layer`."""

    # Where `Layer.add_loss` and `Layer.losses` keep and find the losses.
    @property
    def _losses(self):
        here = self._of_this_thread
        if not hasattr(here, "losses"):
            here.losses = []
        return here.losses

    @_losses.setter
    def _losses(self, losses):
        self._of_this_thread.losses = list(losses)

    @property
    def _of_this_thread(self):
        # Straight into the dict: `Layer` sets `_losses` before it can track
        # any attribute.
        return self.__dict__.setdefault("_loss_threads", threading.local())
