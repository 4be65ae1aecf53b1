"""What callbacks must remember over a restart.

Best value so far, patience used up: without them a resumed run would stop or
lower its rate later than one that never stopped.
"""

import keras
import numpy as np

_COUNTERS = {
    keras.callbacks.EarlyStopping: (
        "wait",
        "stopped_epoch",
        "best",
        "best_epoch",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


def callback_states(callbacks: list) -> tuple[list, list]:
    """Reads the state of callbacks.

    Those of Keras that count are known (`EarlyStopping`,
    `ReduceLROnPlateau`, `ModelCheckpoint`). Any other with a state has
    `get_state()`, which gives a dict of JSON values and NumPy arrays, and
    `set_state(dict)`.

    Args:
        callbacks: list of `keras.callbacks.Callback`.

    Returns:
        Tuple of a list of `None` or dicts of JSON values, one for each
        callback, and a list of NumPy arrays that those dicts refer to.
    """
    states: list = []
    arrays: list[np.ndarray] = []
    for callback in callbacks:
        state = _state_of(callback)
        if state is not None:
            state = {
                "class": type(callback).__name__,
                "state": _packed(state, arrays),
            }
        states.append(state)
    return states, arrays


def restore_callbacks(callbacks: list, states: list, arrays: list) -> None:
    """Puts states back into callbacks, after their `on_train_begin`.

    Args:
        callbacks: list of `keras.callbacks.Callback`, in the order in which
            they were read.
        states: list, as `callback_states` gave it.
        arrays: list of NumPy arrays, likewise.
    """
    names = [type(callback).__name__ for callback in callbacks]
    saved = [state and state["class"] for state in states]
    for callback, name, state in zip(callbacks, names, states, strict=False):
        if state is not None and state["class"] == name:
            _restore(callback, _unpacked(state["state"], arrays))
    wanted = [s for s in saved if s is not None]
    have = [n for n, s in zip(names, saved, strict=False) if s == n]
    if wanted != have:
        print(
            f"Callbacks {wanted} had a state; now they are {names}: those "
            "at another place start anew."
        )


def _counters(callback):
    return next(
        (c for cls, c in _COUNTERS.items() if isinstance(callback, cls)), ()
    )


def _state_of(callback):
    if hasattr(callback, "get_state"):
        return callback.get_state()
    names = _counters(callback)
    if not names:
        return None
    state = {name: getattr(callback, name) for name in names}
    weights = getattr(callback, "best_weights", None)
    if weights is not None:
        state["best_weights"] = list(weights)
    return state


def _restore(callback, state):
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        setattr(callback, name, value)


def _packed(state, arrays):
    """The state as JSON values, its arrays moved to the list."""

    def pack(value):
        if isinstance(value, np.ndarray) and value.ndim:
            arrays.append(value)
            return {"array": len(arrays) - 1}
        if isinstance(value, list | tuple):
            return [pack(item) for item in value]
        # Figures in logs are often NumPy's.
        return value.item() if hasattr(value, "item") else value

    return {name: pack(value) for name, value in state.items()}


def _unpacked(state, arrays):
    def unpack(value):
        if isinstance(value, dict) and value.keys() == {"array"}:
            return arrays[value["array"]]
        if isinstance(value, list):
            return [unpack(item) for item in value]
        return value

    return {name: unpack(value) for name, value in state.items()}
