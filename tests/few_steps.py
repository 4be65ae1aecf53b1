"""How models are compiled that train for a few steps only.

TensorFlow takes ten seconds to trace the training step of a small model, and
a fraction of one to run it. On JAX it is the other way round: without a whole
step to compile, it compiles each operation. Of each kind of model some tests
leave this out, so that traced steps are tested too.
"""

import keras

FEW_STEPS = (
    {"run_eagerly": True} if keras.config.backend() == "tensorflow" else {}
)
