import pytest

from keras_bidalle.data import FakeImages, hold_out

pytestmark = pytest.mark.any_backend


def test_every_record_is_in_one_part():
    source = FakeImages(20, size=16)
    train, held_out = hold_out(source, 0.2, seed=3)
    assert (len(train), len(held_out)) == (16, 4)
    names = [
        part.name(i) for part in (train, held_out) for i in range(len(part))
    ]
    assert sorted(names) == sorted(source.name(i) for i in range(20))
    assert (
        held_out.read(0).captions
        == source.read(int(held_out.indices[0])).captions
    )
    # Always the same ones, and others by another seed.
    assert list(hold_out(source, 0.2, seed=3)[1].indices) == list(
        held_out.indices
    )
    assert list(hold_out(source, 0.2)[1].indices) != list(held_out.indices)
    assert "16 trained on (seed 3)" in train.description
    assert train.description != held_out.description != source.description


@pytest.mark.parametrize("share,held", [(1e-9, 1), (1 - 1e-9, 4)])
def test_neither_part_is_empty(share, held):
    train, held_out = hold_out(FakeImages(5, size=16), share)
    assert (len(train), len(held_out)) == (5 - held, held)


def test_what_cannot_be_is_refused():
    for share in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="`share` must be"):
            hold_out(FakeImages(5, size=16), share)
    with pytest.raises(ValueError, match="at least 2 records"):
        hold_out(FakeImages(1, size=16), 0.5)
