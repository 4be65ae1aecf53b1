"""`keras.distribution`, on JAX: one program, written for the global batch."""

import os
from typing import Any

import keras

from keras_bidalle.training.distributions.distribution import Distribution
from keras_bidalle.validation import check_positive, refused


class _KerasDistribution(Distribution):
    """A `keras.distribution.Distribution`, kept in `distribution`."""

    backends = ("jax",)
    distribution: Any

    def __init__(self):
        super().__init__()
        _join_processes()

    def scope(self) -> Any:
        # Keras' own yields nothing and forgets it at the end.
        return self.distribution.scope()

    @property
    def num_replicas(self):
        return self.distribution.num_model_replicas


class DataParallel(_KerasDistribution):
    """A copy of the model on each device of all processes.

    Make it before anything else of JAX. Where several processes take part,
    the environment says so: KERAS_DISTRIBUTION_JOB_ADDRESSES (of the first
    process, host:port), KERAS_DISTRIBUTION_NUM_PROCESSES and
    KERAS_DISTRIBUTION_PROCESS_ID.

    Args:
        devices: list of str, such as `["gpu:0", "gpu:1"]`; all by default.
    """

    name = "data_parallel"

    def __init__(self, devices: list[str] | None = None) -> None:
        super().__init__()
        self.distribution = keras.distribution.DataParallel(
            devices=devices, auto_shard_dataset=False
        )


class ModelParallel(_KerasDistribution):
    """Large weights of a generator spread over devices.

    The devices form a grid: along one axis the rows of a batch are shared,
    along the other the columns of attention and feed-forward weights (see
    `generator_layouts`), so that a model may be larger than a device. What
    has no layout is on all of them.

    Args:
        model_shards: int, over how many devices each large weight is
            spread; all of them by default.
        devices: list of str; all by default.
        layouts: dict from regular expressions of variable paths to tuples of
            axes, `"model"` or `None`; `generator_layouts()` by default.
    """

    name = "model_parallel"

    def __init__(
        self,
        model_shards: int | None = None,
        devices: list[str] | None = None,
        layouts: dict[str, tuple] | None = None,
    ) -> None:
        super().__init__()
        devices = devices or keras.distribution.list_devices()
        count = len(devices)
        model_shards = count if model_shards is None else model_shards
        check_positive(model_shards=model_shards)
        if count % model_shards:
            raise refused(
                f"divide the number of devices, {count}",
                model_shards=model_shards,
            )
        mesh = keras.distribution.DeviceMesh(
            (count // model_shards, model_shards), ("batch", "model"), devices
        )
        layout_map = keras.distribution.LayoutMap(mesh)
        for path, axes in (layouts or generator_layouts()).items():
            layout_map[path] = axes
        self.distribution = keras.distribution.ModelParallel(
            layout_map=layout_map,
            batch_dim_name="batch",
            auto_shard_dataset=False,
        )


def generator_layouts(axis: str = "model") -> dict[str, tuple]:
    """Layouts of the weights of attention and feed-forward.

    As Megatron-LM cuts a block: the first matrix of attention and of the
    feed-forward by columns, the second by rows. These are most of a large
    generator; embeddings, classifiers and norms are whole on every device.

    Args:
        axis: str, the axis of the mesh of devices.

    Returns:
        dict from regular expressions of variable paths to tuples.

    Reference:
        [Megatron-LM](https://arxiv.org/abs/1909.08053), section 3.
    """
    return {
        ".*/(to_qkv|expand)/kernel": (None, axis),
        ".*/(to_qkv|expand)/bias": (axis,),
        ".*/(to_out|contract)/kernel": (axis, None),
    }


def _join_processes():
    import jax

    wanted = os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES")
    if wanted is None or jax.distributed.is_initialized():
        return
    keras.distribution.initialize()
