"""Training on several devices, by name: the mathematics stays that of one."""

from typing import Any

from keras_bidalle.training.distributions.distribution import Distribution
from keras_bidalle.training.distributions.keras_parallel import (
    DataParallel,
    ModelParallel,
    generator_layouts,
)
from keras_bidalle.training.distributions.tensorflow_strategies import (
    Horovod,
    Mirrored,
    MultiWorker,
)
from keras_bidalle.validation import check_choice

DISTRIBUTIONS = {
    cls.name: cls
    for cls in (
        Distribution,
        Mirrored,
        MultiWorker,
        Horovod,
        DataParallel,
        ModelParallel,
    )
}


def distribute(name: str = "none", **options: Any) -> Distribution:
    """The distribution of a name, ready to train in.

    | name | backend | over |
    |---|---|---|
    | `"none"` | any | one process |
    | `"mirrored"` | TensorFlow | the GPUs of a machine, one process |
    | `"multiworker"` | TensorFlow | machines, as TF_CONFIG lists them |
    | `"horovod"` | TensorFlow | processes that `horovodrun` started |
    | `"data_parallel"` | JAX | all devices, of one process or several |
    | `"model_parallel"` | JAX | the same, with large weights cut in parts |

    Args:
        name: str, one of these.
        **options: as the class of that name takes them: `devices`,
            `model_shards`.

    Returns:
        `Distribution`.

    Raises:
        ValueError: if the name is unknown, the backend cannot do it (Keras
            distributes nothing on torch), or its setup is missing.
        ImportError: without Horovod, if that is what it needs.

    Example:

    ```python
    distribution = keras_bidalle.training.distribute("mirrored")
    with distribution.scope():
        tokenizer = keras_bidalle.image_tokenizers.PatchVQGAN(quantizer)
        tokenizer.compile("adam")
        tokenizer.fit(images, batch_size=64)
    ```
    """
    check_choice(DISTRIBUTIONS, name=name)
    return DISTRIBUTIONS[name](**options)


__all__ = [
    "DISTRIBUTIONS",
    "DataParallel",
    "Distribution",
    "Horovod",
    "Mirrored",
    "ModelParallel",
    "MultiWorker",
    "distribute",
    "generator_layouts",
]
