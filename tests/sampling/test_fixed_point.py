"""Fixed-point decoding draws what one step after the other does."""

import keras
import numpy as np
import pytest
from small_generators import small_generator

from keras_bidalle.generators import (
    ATTENTION_KINDS,
    BidirectionalTransformer,
    PatchBidirectionalTransformer,
    RQTransformer,
)
from keras_bidalle.sampling.decoders import Fastest, FixedPoint, Sequential
from keras_bidalle.sampling.decoders.fastest import pass_cost

ROWS = 4
# Where each is compiled, guided rows stand for both.
GUIDED = [False, True] if keras.config.backend() == "torch" else [True]
CASES = {
    "codes": (
        BidirectionalTransformer,
        {
            "code_shape": (4, 5),
            "attention": ATTENTION_KINDS,
            "depth": len(ATTENTION_KINDS),
            "rotary": True,
            "token_kernel_size": 3,
        },
    ),
    "patches": (
        PatchBidirectionalTransformer,
        {"code_shape": (8, 8), "token_kernel_size": 5},
    ),
    "stacks": (RQTransformer, {"code_shape": (3, 4, 2), "head_depth": 1}),
}


@pytest.fixture(params=CASES)
def generator(request):
    cls, options = CASES[request.param]
    options = {"width": 16, "num_heads": 2, **options}
    return small_generator(cls, condition_dropout=0.1, **options)


def mixed_settings(count):
    """A setting of every kind, other ones in each row."""
    rng = np.random.default_rng(1)
    return {
        "temperature": rng.choice([0.0, 0.3, 1.0, 2.0], count),
        "top_k": rng.choice([1, 3, 7], count),
        "top_p": rng.choice([0.5, 0.9, 1.0], count),
        "min_p": rng.choice([0.0, 0.2], count),
    }


def both_ways(draw, **options):
    """What both decoders draw, with windows that pay and that do not."""
    expected = draw(decoder="sequential", **options)
    decoders = [FixedPoint(window=4, cost=1.0)]
    if keras.config.backend() == "torch":  # Others compile for each.
        decoders.append(FixedPoint(window=3, cost=2.5))
    for decoder in decoders:
        np.testing.assert_array_equal(
            draw(decoder=decoder, **options), expected
        )
    return expected


@pytest.mark.parametrize("guided", GUIDED)
def test_images_are_those_of_single_steps(generator, guided):
    rng = np.random.default_rng(0)
    text = rng.integers(3, 12, (ROWS, 6))
    text[:, 4:] = [2, 0]
    options = mixed_settings(ROWS)
    if guided:
        options["guidance_scale"] = rng.choice([0.5, 1.0, 3.0], ROWS)

    def draw(**given):
        return generator.generate_codes(text, seed=range(ROWS), **given)

    codes = both_ways(draw, **options)
    assert len(np.unique(codes)) > 3
    prime = keras.ops.convert_to_numpy(generator.head.to_positions(codes))
    both_ways(draw, prime=prime[:, :5], **options)


@pytest.mark.parametrize("guided", GUIDED)
def test_captions_are_those_of_single_steps(generator, guided):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 7, (ROWS, *generator.code_shape))
    options = mixed_settings(ROWS) | {"num_samples": 8}
    if guided:
        options["guidance_scale"] = 2.0

    def draw(**given):
        return generator.generate_text(codes, seed=3, **given)

    text = both_ways(draw, **options)
    # Some end early, where the rest is filled.
    assert (text == 0).any() and (text != 0).any()


def test_what_is_likely_takes_few_passes(monkeypatch):
    generator = small_generator(code_shape=(6, 6))
    # Every code is 3, whatever stands before it.
    bias = np.zeros(generator.head.bias.shape, "float32")
    bias[3] = 1e3
    generator.head.bias.assign(bias)
    passes = count_passes(monkeypatch, generator)
    text = np.full((1, 6), 5)
    codes = generator.generate_codes(text, decoder=FixedPoint(window=7))
    assert (codes == 3).all()
    if keras.config.backend() == "torch":
        # 36 positions, seven a pass but for blind guesses.
        assert len(passes) <= 12
        passes.clear()
        generator.generate_codes(text, decoder=Sequential())
        assert len(passes) == 36


def count_passes(monkeypatch, generator):
    found, original = [], type(generator.transformer).decode

    def decode(self, x, *arguments):
        found.append(x.shape[1])
        return original(self, x, *arguments)

    monkeypatch.setattr(type(generator.transformer), "decode", decode)
    return found


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="passes are counted as they run"
)
def test_passes_in_vain_are_few(monkeypatch):
    generator = small_generator(code_shape=(6, 6), num_codes=97)
    passes = count_passes(monkeypatch, generator)
    text = np.full((1, 6), 5)
    decoder = FixedPoint(window=6, cost=2.0)
    # Every code is as likely as any other, so that guesses are wrong.
    options = {"temperature": 1000.0, "decoder": decoder}
    for seed in range(4):
        generator.generate_codes(text, seed=seed, **options)
        took = sum(2.0 if width > 1 else 1.0 for width in passes)
        assert took <= 1.1 * 36 + 2
        assert any(width > 1 for width in passes)
        passes.clear()


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="torch compiles nothing"
)
def test_other_settings_need_no_other_program(monkeypatch):
    generator = small_generator()
    traces, original = [], FixedPoint._passes

    def traced(*arguments):
        traces.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(FixedPoint, "_passes", traced)
    text = np.full((2, 6), 5)
    for settings in (
        {"top_k": 3},
        {"top_k": [2, 5], "seed": 4, "temperature": 0.5},
        {"top_p": 0.5, "seed": [8, 9]},
    ):
        generator.generate_codes(text, decoder="fixed_point", **settings)
        text = np.where(text == 5, 6, 0)
    assert len(traces) == 1


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="compiled loops step"
)
def test_one_row_takes_passes():
    small, large = small_generator(), small_generator(width=256, depth=2)
    assert isinstance(Fastest().chosen(small, 1), FixedPoint)
    assert isinstance(Fastest().chosen(small, 2), FixedPoint)
    assert isinstance(Fastest().chosen(small, 3), Sequential)
    assert 1 < pass_cost(small, 1, 8) < pass_cost(large, 4, 8)


@pytest.mark.any_backend
def test_arguments_are_checked():
    decoder = FixedPoint(window=8, cost=3.0)
    assert FixedPoint.from_config(decoder.get_config()).cost == 3.0
    with pytest.raises(ValueError, match="`window` must be"):
        FixedPoint(window=0)
    with pytest.raises(ValueError, match="`cost` must be"):
        FixedPoint(cost=0.5)
    with pytest.raises(ValueError, match="`loss` must be"):
        FixedPoint(loss=-1.0)
