"""Where a run is, in steps since its start."""

import keras


class StepCallback(keras.callbacks.Callback):
    """Callback that knows the global step.

    The global step is `epoch * steps_per_epoch + batch`, so it is right after
    a restart without being stored, and all callbacks agree on it. Only the
    last epoch may have another number of steps.
    """

    _epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch, an int.

        Raises:
            ValueError: if `fit` does not know how long an epoch is.
        """
        steps = self.params.get("steps")
        if not steps:
            raise ValueError(
                f"{type(self).__name__} counts steps over the whole run and "
                "needs epochs of a known length: pass `steps_per_epoch` to "
                f"`fit`. Received: steps_per_epoch={steps}"
            )
        return steps

    @property
    def epoch_steps(self) -> int:
        """Steps of this epoch; the last one has the rest of a run, too."""
        steps = self.steps_per_epoch
        if self._epoch + 1 == self.params.get("epochs"):
            return self.params.get("last_steps") or steps
        return steps

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        steps = self.steps_per_epoch
        last = self.params.get("last_steps") or steps
        return steps * (self.params["epochs"] - 1) + last

    def steps_done(self, batch: int = -1) -> int:
        """Steps that are complete once `batch` of this epoch is."""
        return self._epoch * self.steps_per_epoch + batch + 1

    def sync_weights(self) -> None:
        """Makes variables readable and writable inside an epoch.

        The JAX trainer holds them outside the model while an epoch runs.
        """
        sync = getattr(self.model, "jax_state_sync", None)
        if sync is not None:
            sync()
