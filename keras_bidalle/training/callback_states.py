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
    """Reads the state of callbacks: a list, `None` where there is none.

    Those of Keras that count are known. Any other with a state has
    `get_state()`, which gives a dict of JSON values and NumPy arrays, and
    `set_state(dict)`. The arrays come as a list of their own.
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
    """Puts what `callback_states` gave back, after `on_train_begin`."""
    names = [type(callback).__name__ for callback in callbacks]
    for callback, name, state in zip(callbacks, names, states, strict=False):
        if state is not None and state["class"] == name:
            _restore(callback, _unpacked(state["state"], arrays))
    wanted = [state["class"] for state in states if state is not None]
    have = [
        name
        for name, state in zip(names, states, strict=False)
        if state is not None and state["class"] == name
    ]
    if wanted != have:
        print(
            f"Callbacks {wanted} had a state; now they are {names}: those "
            "at another place start anew."
        )


def still_end(callbacks: list, states: list) -> bool:
    """Whether callbacks, restored, end the run that they had ended.

    They do not where they have more patience now, or where those that had
    too little of it are gone.
    """
    ending = [callback for callback in callbacks if _ends(callback) is not None]
    if ending:
        return any(map(_ends, ending))
    # Of any other nobody knows why it ended the run.
    classes = {state["class"] for state in states if state is not None}
    return not classes & {"KeepBest", "EarlyStopping"}


def _ends(callback):
    """Whether its patience is used up; `None` of what has none."""
    if isinstance(callback, keras.callbacks.EarlyStopping):
        return callback.wait >= callback.patience
    return getattr(callback, "is_out_of_patience", None)


def _state_of(callback):
    if hasattr(callback, "get_state"):
        return callback.get_state()
    for cls, names in _COUNTERS.items():
        if isinstance(callback, cls):
            state = {name: getattr(callback, name) for name in names}
            weights = getattr(callback, "best_weights", None)
            if weights is not None:
                state["best_weights"] = list(weights)
            return state
    return None


def _restore(callback, state):
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        setattr(callback, name, value)


def _packed(value, arrays):
    """A state as JSON values, its arrays moved to the list."""
    if isinstance(value, np.ndarray) and value.ndim:
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):
        return {name: _packed(item, arrays) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(item, arrays) for item in value]
    # Figures in logs are often NumPy's.
    return value.item() if hasattr(value, "item") else value


def _unpacked(value, arrays):
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {name: _unpacked(item, arrays) for name, item in value.items()}
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    return value
