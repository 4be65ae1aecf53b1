"""Small trainings for `compare_distributions.py`: what, and by which rule.

A case is a model and an optimizer. Every case can be trained by one process
on whole batches or by several replicas on parts of them.
"""

import contextlib
from unittest import mock

import keras
import numpy as np
from keras import ops

from keras_bidalle import (
    data,
    generators,
    image_tokenizers,
    losses,
    quantizers,
    training,
)
from keras_bidalle.backend import replicas
from keras_bidalle.quantizers import gumbel_quantizer

STEPS = 5
ROWS = 8
# The step, and the row in it, whose gradients overflow.
OVERFLOW = (3, ROWS - 1)

_SIZE = {"num_codes": 12, "code_dim": 8, "seed": 1}


def _ema():
    # Half of the mean count is much: codes are revived in every run.
    return quantizers.EMAVectorQuantizer(
        **_SIZE, kmeans_steps=2, revival_share=0.5
    )


def _orthogonal():
    return quantizers.OrthogonalVectorQuantizer(
        **_SIZE, kmeans_steps=1, revival_steps=2
    )


QUANTIZERS = {
    "ema": _ema,
    "orthogonal": _orthogonal,
    "residual": lambda: quantizers.ResidualQuantizer(_ema(), code_depth=2),
    "gumbel": lambda: quantizers.GumbelQuantizer(**_SIZE),
}


def _generator(cls, **kwargs):
    return cls(
        text_vocabulary_size=12,
        text_length=4,
        num_codes=8,
        width=16,
        depth=2,
        num_heads=2,
        query_key_norm=True,
        **kwargs,
    )


GENERATORS = {
    "bidirectional": lambda: _generator(
        generators.BidirectionalTransformer, code_shape=(3, 3)
    ),
    "rq": lambda: _generator(
        generators.RQTransformer, code_shape=(2, 2, 2), head_depth=1
    ),
}


class Float32Muon(training.Muon):
    """Muon that iterates in float32."""

    def zeropower_via_newtonschulz5(self, x, steps):
        return keras.optimizers.Muon.zeropower_via_newtonschulz5(self, x, steps)


# Adam's epsilon is not the tiny default: that one makes steps of full length
# out of gradients that are 0 but for rounding, which no two sums share.
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "adam-clipped": lambda: keras.optimizers.Adam(
        0.01, epsilon=1e-4, global_clipnorm=0.1
    ),
    "accumulating": lambda: keras.optimizers.Adam(
        0.01, epsilon=1e-4, global_clipnorm=0.1, gradient_accumulation_steps=2
    ),
    "overflow": lambda: keras.optimizers.Adam(0.01, epsilon=1e-4),
    "muon": lambda: Float32Muon(
        0.01, epsilon=1e-4, global_clipnorm=0.1, adam_lr_ratio=0.4
    ),
}

MODELS = (
    *(f"{kind}{players}" for kind in QUANTIZERS for players in ("", "+gan")),
    *GENERATORS,
)


def names():
    """Names of all cases, "model/optimizer"."""
    return [
        f"{model}/{optimizer}"
        for model in MODELS
        for optimizer in OPTIMIZERS
        if optimizer != "muon" or model in GENERATORS
    ]


def train(name, steps=STEPS, wrap=None):
    """Trains a case as far as the distribution of the scope has it."""
    keras.utils.set_random_seed(7)
    kind, optimizer = name.split("/")
    build = _build_generator if kind in GENERATORS else _build_tokenizer
    model, make_batch = build(kind, OPTIMIZERS[optimizer]())
    if optimizer == "overflow":
        # What float16 does to the gradients, in float32, where the rest of
        # the comparison is exact.
        model.optimizer = training.synchronized(
            keras.optimizers.LossScaleOptimizer(
                model.optimizer, dynamic_growth_steps=2
            )
        )
    if wrap is not None:
        model.optimizer = wrap(model.optimizer)
    else:
        model.optimizer.build(model.trainable_variables)
    start = np.array(_by_replica(model.variables[0])[0])

    def marked(step):
        batch = make_batch(np.random.default_rng((3, step)))
        if optimizer == "overflow" and step == OVERFLOW[0]:
            array = batch["text"] if kind in GENERATORS else batch
            array[OVERFLOW[1]].flat[-1] = _mark(array)
        return batch

    with _noise_by_global_row():
        model.fit(
            data.as_dataset(data.own_rows(marked)),
            steps_per_epoch=steps,
            epochs=1,
            shuffle=False,
            verbose=0,
        )
    return start, model


def state(model, of_optimizer=True):
    """What training changes: dict from a name to its values by replica."""
    skipped = {id(v) for v in model.metrics_variables}
    groups = {"model": model.variables}
    if of_optimizer:
        groups["optimizer"] = model.optimizer.variables
    return {
        f"{group}.{i:03d}.{variable.path}": _by_replica(variable)
        for group, variables in groups.items()
        for i, variable in enumerate(variables)
        if not (id(variable) in skipped or "seed_generator" in variable.path)
    }


def _by_replica(variable):
    """All copies of a variable that this process holds, stacked."""
    value = variable.value
    copies = getattr(value, "values", None)
    # Keras makes arrays of several processes whose shards are not known.
    if getattr(value, "is_fully_addressable", False):
        if value.is_fully_replicated:
            copies = [shard.data for shard in value.addressable_shards]
    if copies is None:
        copies = [value]
    return np.stack([np.asarray(ops.convert_to_numpy(c)) for c in copies])


def _mark(array):
    return 11 if array.dtype == "int32" else 77.0


def _huge_if_marked(array):
    """1 for each row, but infinite where a row is marked: float32 (B,)."""
    rows = ops.reshape(array, (ops.shape(array)[0], -1))
    marked = ops.equal(rows[:, -1], ops.cast(_mark(array), array.dtype))
    return ops.where(marked, float("inf"), 1.0)


def _build_tokenizer(kind, optimizer):
    kind, _, gan = kind.partition("+")
    model = image_tokenizers.PatchVQGAN(
        QUANTIZERS[kind](),
        image_shape=(16, 16, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    )
    adversarial = losses.AdversarialLoss(
        losses.PatchDiscriminator(num_layers=2, filters=4),
    )

    def pixels(real, fake):
        clean = ops.where(ops.equal(real, 77.0), 0.0, real)
        error = ops.mean(ops.square(clean - fake), axis=(1, 2, 3))
        return error * _huge_if_marked(real)

    model.compile(
        optimizer,
        reconstruction_loss=pixels,
        adversarial=adversarial if gan else None,
    )

    def make_batch(rng):
        return rng.uniform(-1, 1, (ROWS, 16, 16, 3)).astype("float32")

    return model, make_batch


def _build_generator(kind, optimizer):
    model = GENERATORS[kind]()
    model.compile(optimizer)
    image_losses = model.head.losses_of

    def marked_losses(x, y_pred, training=True):
        scale = _huge_if_marked(ops.cast(x["text"], "int32"))
        return image_losses(x, y_pred, training) * scale[:, None]

    model.head.losses_of = marked_losses

    def make_batch(rng):
        # Halves of other directions and lengths: means over their tokens are
        # not the whole batch's.
        text = rng.integers(3, 11, (ROWS, 4))
        text[np.arange(4) >= rng.integers(2, 5, (ROWS, 1))] = (
            model.captions.pad_id
        )
        return {
            "text": text.astype("int32"),
            "codes": rng.integers(0, 8, (ROWS, *model.code_shape)).astype(
                "int32"
            ),
            "text_to_image": np.arange(ROWS) < 5,
        }

    return model, make_batch


@contextlib.contextmanager
def _noise_by_global_row():
    """Gives each row the Gumbel noise that it has in the whole batch."""
    plain = gumbel_quantizer.gumbel_noise

    def noise(shape, seed):
        rows, count = shape[0], replicas.num_replicas()
        if count == 1:
            return plain(shape, seed)
        whole = plain((rows * count, *shape[1:]), _SameEverywhere(seed))
        first = replicas.replica_id() * rows
        return whole[first : first + rows]

    with mock.patch.object(gumbel_quantizer, "gumbel_noise", noise):
        yield


class _SameEverywhere(keras.random.SeedGenerator):
    """What a `NoiseSeedGenerator` would draw if it were a stock one."""

    def __init__(self, generator):
        self.generator = generator

    def next(self, ordered=True):
        return keras.random.SeedGenerator.next(self.generator, ordered)
