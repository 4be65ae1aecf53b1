"""Random state that belongs to the process and not to a model.

Python's, NumPy's, the generator that Keras makes for draws without a seed,
and torch's, from which Keras' dropout draws there without a seed.
"""

import random
from typing import Any

import keras
import numpy as np

from keras_bidalle.backend.current import backend_name
from keras_bidalle.backend.keras_internals import global_seed_generator


def random_state() -> dict[str, Any]:
    """The process's random state, a dict of JSON values."""
    version, words, gauss = random.getstate()
    state_of_numpy: Any = np.random.get_state()
    name, keys, position, has_gauss, cached = state_of_numpy
    seed = global_seed_generator()
    state = {
        "python": [version, list(words), gauss],
        "numpy": [name, keys.tolist(), position, has_gauss, cached],
        "keras": None
        if seed is None
        else keras.ops.convert_to_numpy(seed.state).tolist(),
    }
    if backend_name() == "torch":
        import torch

        state["torch"] = torch.get_rng_state().tolist()
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state().tolist()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Puts back what `random_state` gave."""
    if state["keras"] is not None:
        seed: Any = global_seed_generator()
        if seed is None:
            # Keras makes it at the first draw, with a seed from Python's.
            keras.random.uniform(())
            seed = global_seed_generator()
        seed.state.assign(np.array(state["keras"], seed.state.dtype))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, "uint32"), *rest))
    if backend_name() != "torch":
        return
    import torch

    # Not there where another backend or another device began the run.
    if "torch" in state:
        torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.tensor(state["cuda"], dtype=torch.uint8))
