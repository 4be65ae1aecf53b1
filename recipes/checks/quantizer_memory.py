"""Does a codebook of 65536 codes fit? Peak memory of each quantizer's step.

Takes a training step, forward and backward, of each quantizer alone, on the
latents of 16 images of 16x16 codes, and prints by how much the memory of the
process rises above what it held before: latents, codebook, tables and
gradients, without an optimizer. Ends with an error where one rises above the
limit. Runs on Linux, on the CPU; JAX's compiled step is not taken apart.

    KERAS_BACKEND=torch python recipes/checks/quantizer_memory.py
"""

import gc
import pathlib
import sys

import keras
import numpy as np
from keras import ops

from keras_bidalle import programs, quantizers

sys.path.append(str(pathlib.Path(__file__).parents[1] / "benchmarks"))
import measuring  # noqa: E402

CODES = 2**16
SHAPE = (16, 16, 16)
QUANTIZERS = {
    "VectorQuantizer": lambda: quantizers.VectorQuantizer(CODES, 256),
    "VectorQuantizer, 8 channels, cosine": lambda: quantizers.VectorQuantizer(
        CODES, 8, input_dim=256, normalize=True
    ),
    "EMAVectorQuantizer": lambda: quantizers.EMAVectorQuantizer(CODES, 256),
    "RestartingVectorQuantizer": lambda: quantizers.RestartingVectorQuantizer(
        CODES, 256
    ),
    "OrthogonalVectorQuantizer": lambda: quantizers.OrthogonalVectorQuantizer(
        CODES, 256
    ),
    "SimVQ": lambda: quantizers.SimVQ(CODES, 256),
    "IBQ": lambda: quantizers.IBQ(CODES, 256),
    "FSQ": lambda: quantizers.FSQ((8, 8, 8, 5, 5, 5)),
    "LFQ": lambda: quantizers.LFQ(16),
    "BSQ": lambda: quantizers.BSQ(16),
    "ResidualQuantizer of four SimVQ": lambda: quantizers.ResidualQuantizer(
        quantizers.SimVQ(CODES, 256), code_depth=4, shared=True
    ),
}


def rise(make):
    """By how many MiB a training step raises the peak."""
    gc.collect()
    before = measuring.resident_memory()
    layer = make()
    shape = (*SHAPE, layer.input_dim)
    z = np.random.default_rng(0).normal(size=shape).astype("float32")
    step(layer, ops.convert_to_tensor(z))
    return (measuring.memory.peak() - before) / 2**20


def step(layer, z):
    """Gradients of the output's square and the losses, to all that trains."""
    layer.ensure_built()

    def scalar(output, losses):
        return ops.mean(ops.square(output)) + sum(losses)

    backend = keras.config.backend()
    if backend == "torch":
        z.requires_grad_()
        scalar(layer(z, training=True), layer.losses).backward()
    elif backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(z)
            value = scalar(layer(z, training=True), layer.losses)
        sources = [z, *(v.value for v in layer.trainable_variables)]
        tape.gradient(value, sources)
    else:
        import jax

        state = [v.value for v in layer.non_trainable_variables]

        def loss(trained, z):
            output, _, losses = layer.stateless_call(
                trained, state, z, training=True, return_losses=True
            )
            return scalar(output, losses)

        trained = [v.value for v in layer.trainable_variables]
        gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))(trained, z)
        jax.block_until_ready(gradients)


def main():
    parser = programs.make_parser(__doc__)
    add = parser.add_argument
    add("--limit", type=float, default=1024, help="MiB (default: 1024)")
    add("--only", nargs="+", choices=tuple(QUANTIZERS), default=QUANTIZERS)
    options = parser.parse_args()
    too_much = []
    for name in options.only:
        used = rise(QUANTIZERS[name])
        print(f"{name}: {used:.0f} MiB", flush=True)
        too_much += [name] if used > options.limit else []
    if too_much:
        sys.exit(f"above {options.limit:.0f} MiB: {', '.join(too_much)}")


if __name__ == "__main__":
    main()
