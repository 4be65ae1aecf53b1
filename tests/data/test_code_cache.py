import numpy as np
import pytest

from keras_bidalle.data import cached_codes, fingerprint
from keras_bidalle.image_tokenizers import PatchVQGAN
from keras_bidalle.quantizers import VectorQuantizer

PICTURES = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), "uint8")


def make_tokenizer():
    return PatchVQGAN(
        VectorQuantizer(8, 4),
        image_shape=(16, 16, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    )


@pytest.fixture
def calls():
    return []


def compute(path, tokenizer, calls, source="images"):
    def make_images(first, last):
        calls.append((first, last))
        return PICTURES[first:last]

    return cached_codes(path, tokenizer, make_images, 10, source, batch_size=4)


def test_codes_are_computed_once(tmp_path, calls):
    tokenizer = make_tokenizer()
    path = tmp_path / "codes.npz"
    codes = compute(path, tokenizer, calls)
    np.testing.assert_array_equal(codes, tokenizer.encode(PICTURES))
    assert codes.dtype == np.uint8
    assert calls == [(0, 4), (4, 8), (8, 10)]
    np.testing.assert_array_equal(compute(path, tokenizer, calls), codes)
    assert len(calls) == 3


def test_a_stale_cache_is_never_used(tmp_path, calls):
    path = tmp_path / "codes.npz"
    tokenizer = make_tokenizer()
    compute(path, tokenizer, calls)
    compute(path, tokenizer, calls, source="other images")
    assert len(calls) == 6
    trained = make_tokenizer()
    trained.set_weights([w + 0.1 for w in tokenizer.get_weights()])
    assert fingerprint(trained) != fingerprint(tokenizer)
    codes = compute(path, trained, calls, source="other images")
    assert len(calls) == 9
    np.testing.assert_array_equal(codes, trained.encode(PICTURES))


def test_a_damaged_cache_is_made_anew(tmp_path, calls, capsys):
    path = tmp_path / "codes.npz"
    tokenizer = make_tokenizer()
    codes = compute(path, tokenizer, calls)
    path.write_bytes(path.read_bytes()[:40])
    np.testing.assert_array_equal(compute(path, tokenizer, calls), codes)
    assert "computing its codes anew" in capsys.readouterr().out
    assert len(calls) == 6


def test_codes_that_are_not_what_was_written_are_noticed(
    tmp_path, calls, capsys
):
    path = tmp_path / "codes.npz"
    tokenizer = make_tokenizer()
    codes = compute(path, tokenizer, calls)
    with np.load(path) as stored:
        parts = dict(stored)
    for other in (codes[::-1], codes[:5]):
        np.savez_compressed(path, **{**parts, "codes": other})
        np.testing.assert_array_equal(compute(path, tokenizer, calls), codes)
        assert "not the codes that were written" in capsys.readouterr().out
