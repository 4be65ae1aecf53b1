import pytest

from keras_bidalle.renaming import renamed

pytestmark = pytest.mark.any_backend


def test_old_names_become_the_names_of_today():
    config = {"beta": 0.5, "seed": 1}
    assert renamed(config, {"beta": "weight", "size": "length"}) == {
        "weight": 0.5,
        "seed": 1,
    }
    assert config == {"beta": 0.5, "seed": 1}


def test_an_argument_under_both_names_is_refused():
    with pytest.raises(ValueError, match="`weight` and `beta`"):
        renamed({"beta": 0.5, "weight": 0.5}, {"beta": "weight"})
