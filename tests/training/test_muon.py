import keras
import numpy as np
from keras import ops

from keras_bidalle.training import Muon


def make_model():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.layers.Dense(12, name="first"),
            keras.layers.Dense(12, name="second"),
            keras.layers.Dense(12, name="third"),
            keras.layers.Dense(2, name="head"),
        ]
    )
    model.build((None, 12))
    return model


def gradients_of(model):
    rng = np.random.default_rng(0)
    return [
        ops.convert_to_tensor(rng.normal(size=v.shape).astype("float32"))
        for v in model.trainable_variables
    ]


def test_stacked_steps_equal_those_of_keras_matrix_by_matrix():
    weights = {}
    for name, cls in (("ours", Muon), ("keras", keras.optimizers.Muon)):
        model = make_model()
        optimizer = cls(0.01, exclude_layers=["head"], weight_decay=0.1)
        optimizer.build(model.trainable_variables)
        for _ in range(3):
            optimizer.apply(gradients_of(model), model.trainable_variables)
        weights[name] = model.get_weights()
    for ours, theirs in zip(*weights.values(), strict=True):
        # Ours iterates in bfloat16: a step is 0.01 at most.
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_matrices_move_along_orthogonal_directions():
    model = make_model()
    before = model.get_weights()
    optimizer = Muon(0.01, rms_rate=None, weight_decay=0.0)
    optimizer.build(model.trainable_variables)
    optimizer.apply(gradients_of(model), model.trainable_variables)
    step = (model.get_weights()[0] - before[0]) / 0.01
    # The published quintic brings singular values near 1, not to it.
    values = np.linalg.svd(step, compute_uv=False)
    assert values.min() > 0.4 and values.max() < 1.4


def test_the_configuration_survives_a_round_trip():
    optimizer = Muon(0.02, adam_lr_ratio=0.4, momentum=0.9)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, Muon)
    assert again.adam_lr_ratio == 0.4 and again.momentum == 0.9
    assert again.exclude_layers == optimizer.exclude_layers
