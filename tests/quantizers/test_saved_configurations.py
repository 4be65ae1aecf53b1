"""Configurations that were saved before arguments had their names of today."""

import keras
import pytest

from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    MultiLevelQuantizer,
    OrthogonalVectorQuantizer,
    ResidualQuantizer,
    RestartingVectorQuantizer,
    VectorQuantizer,
)

SIZE = {"num_codes": 16, "code_dim": 8}


@pytest.mark.parametrize(
    "cls, old, new",
    [
        (VectorQuantizer, {"beta": 0.5}, {"commitment_weight": 0.5}),
        (
            VectorQuantizer,
            {"beta": 0.5, "legacy_beta": False, "revival_steps": 9},
            {"commitment_weight": 0.5, "codebook_weight": 1.0},
        ),
        (
            OrthogonalVectorQuantizer,
            {"beta": 0.5, "legacy_beta": True},
            {"commitment_weight": 1.0, "codebook_weight": 0.5},
        ),
        (
            EMAVectorQuantizer,
            {"beta": 0.5, "revival_threshold": 0.2},
            {"commitment_weight": 0.5, "revival_share": 0.2},
        ),
        (
            RestartingVectorQuantizer,
            {"beta": 0.5, "restart_below": 0.7},
            {"commitment_weight": 0.5, "revival_count": 0.7},
        ),
    ],
)
def test_old_names_of_arguments_still_load(cls, old, new):
    quantizer = cls.from_config({**SIZE, **old})
    assert {name: getattr(quantizer, name) for name in new} == new


def test_old_names_within_other_quantizers_still_load():
    part = {
        "module": "keras_bidalle.quantizers.ema_vector_quantizer",
        "class_name": "EMAVectorQuantizer",
        "config": {**SIZE, "beta": 0.5, "revival_threshold": 0.2},
        "registered_name": "keras_bidalle>EMAVectorQuantizer",
    }
    stack = ResidualQuantizer.from_config(
        {"quantizer": part, "depth": 3, "shared": True, "beta": 0.1}
    )
    assert stack.code_depth == 3 and stack.commitment_weight == 0.1
    assert stack.quantizers[0].revival_share == 0.2
    levels = MultiLevelQuantizer.from_config(
        {"quantizer": part, "grids": [[2, 2], [1, 1]]}
    )
    assert levels.quantizer.commitment_weight == 0.5
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(levels)
    )
    assert again.get_config() == levels.get_config()
