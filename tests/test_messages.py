import pytest

from keras_bidalle.messages import MAX_LENGTH, one_line, shown

pytestmark = pytest.mark.any_backend


def test_a_message_is_one_printable_line_of_bounded_length():
    line = one_line("first\nsecond \x1b[31m" + "x" * 10**6 + " Received: 3")
    assert line.startswith("first second \\x1b[31m")
    assert line.endswith("Received: 3")
    assert len(line) == MAX_LENGTH and line.isprintable()
    assert one_line("as it is") == "as it is"


def test_values_are_shown_short_whatever_they_are():
    nested = ()
    for _ in range(60):
        nested = (nested, nested)

    class Unshowable:
        def __repr__(self):
            raise OSError

    endless = []
    endless.append(endless)
    for value in (nested, endless, "\x1b" * 10**6, 10**5000, [0] * 10**6):
        assert len(shown(value)) <= 100 and shown(value).isprintable()
    assert shown(Unshowable()).startswith("<Unshowable instance")
    assert shown({"a": [1, 2]}) == "{'a': [1, 2]}"
