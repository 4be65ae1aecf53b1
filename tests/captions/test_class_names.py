import json

import keras
import numpy as np
import pytest

from keras_bidalle.captions import ClassNames

pytestmark = pytest.mark.any_backend


def test_names_are_numbers_and_back():
    classes = ClassNames(["cats", "caf\u00e9s", "7"], vocabulary_size=5)
    ids = classes.encode(["7", "cafe\u0301s", "cats"])
    np.testing.assert_array_equal(ids, [[2], [1], [0]])
    assert ids.dtype == np.int32 and ids.shape[1] == classes.max_length
    assert classes.decode(ids) == ["7", "caf\u00e9s", "cats"]
    twin = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(classes)
    )
    assert twin.get_config() == classes.get_config()
    # No condition, and classes that have numbers alone.
    np.testing.assert_array_equal(ClassNames([""]).encode(""), [[0]])
    numbered = ClassNames(vocabulary_size=1000)
    np.testing.assert_array_equal(numbered.encode(["999", "0"]), [[999], [0]])
    assert numbered.decode([[999]]) == ["999"]


@pytest.mark.parametrize("name", ["dog", "", "x" * 10**6, "\x1b[31m", "\x00"])
def test_an_unknown_class_is_told_beside_some_that_there_are(name):
    classes = ClassNames([f"animal {i}" for i in range(1000)] + ["dogs"])
    with pytest.raises(ValueError) as raised:
        classes.encode(["dogs", name])
    told = str(raised.value)
    assert "`captions[1]` must be one of 1001 classes" in told
    assert len(told) <= 300 and told.isprintable()
    assert ("'dogs'" in told) is (name == "dog")


@pytest.mark.parametrize("name", ["1000", "-1", "1.0", "\u0663", "", "9" * 99])
def test_a_number_that_no_class_has_is_told(name):
    with pytest.raises(ValueError, match="number of a class, from 0 to 999"):
        ClassNames(vocabulary_size=1000).encode([name])


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        "null",
        '"ab"',
        "[1]",
        '["a", "a"]',
        '["a", "b", "c"]',
        "[" * 9999,
    ],
)
def test_a_damaged_list_of_classes_is_told_with_its_file(content, tmp_path):
    file = tmp_path / "classes.json"
    file.write_text(json.dumps(["a", "b"]))
    assert ClassNames.read(file, 2).names == ["a", "b"]
    file.write_text(content)
    with pytest.raises(ValueError, match="classes.json") as raised:
        ClassNames.read(file, 2)
    assert len(str(raised.value)) <= 300 and str(raised.value).isprintable()


def test_other_arguments_are_refused():
    for wrong in ("ab", [b"a"], 3):
        with pytest.raises(ValueError, match="`names` must be"):
            ClassNames(wrong)
    with pytest.raises(ValueError, match="`vocabulary_size`"):
        ClassNames()
    with pytest.raises(ValueError, match="`ids` must be integers"):
        ClassNames(["a"]).decode([[1]])
    with pytest.raises(TypeError, match="must be strings"):
        ClassNames(["a"]).encode([1])
