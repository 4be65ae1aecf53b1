import keras
import pytest
from small_presets import whole

from keras_bidalle.presets.safety import check_config


def config():
    return keras.saving.serialize_keras_object(whole())


def with_word(word):
    changed = config()
    changed["config"]["words"] = [word]
    return changed


def test_our_models_and_keras_objects_pass():
    check_config(config())
    initializer = keras.initializers.GlorotUniform(seed=1)
    good = keras.saving.serialize_keras_object(initializer)
    check_config(with_word(good))


@pytest.mark.parametrize(
    "node",
    [
        {"class_name": "__lambda__", "config": {"value": "code"}},
        {"module": "keras.layers", "class_name": "Lambda", "config": {}},
        {"module": "os", "class_name": "system", "config": {}},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"module": "keras_evil", "class_name": "Layer", "config": {}},
        {
            "module": "mine",
            "class_name": "Layer",
            "config": {},
            "registered_name": "mine>Layer",
        },
    ],
)
def test_anything_that_could_run_code_is_refused_by_name(node):
    with pytest.raises(ValueError, match=f"{node['class_name']}' *. A preset"):
        check_config(with_word(node))
    with pytest.raises(ValueError, match="A preset may only name"):
        check_config(with_word({"deep": [node]}))


@pytest.mark.parametrize("content", [{}, [], "text", {"config": {}}])
def test_what_is_no_configuration_is_refused(content):
    with pytest.raises(ValueError, match="not the configuration of a model"):
        check_config(content)


def test_a_model_of_keras_alone_is_refused():
    model = keras.Sequential([keras.Input((2,))])
    content = keras.saving.serialize_keras_object(model)
    with pytest.raises(ValueError, match="not one of keras_bidalle"):
        check_config(content)
