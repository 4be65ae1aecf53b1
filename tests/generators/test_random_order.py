"""Images learned in random orders, and at last in raster order."""

import keras
import numpy as np
import pytest
from few_steps import FEW_STEPS
from keras import ops
from small_generators import small_generator

import keras_bidalle
from keras_bidalle.generators import (
    Generator,
    NextToken,
    RandomOrder,
    RQTransformer,
    folded,
)

T, GRID, P, D, HEADS = 6, (2, 3), 6, 16, 2
SIZES = {"code_shape": GRID, "order": "permuted", "order_annealing": (2, 4)}
FORWARD = np.array([True, False, True])


def to_numpy(x):
    return ops.convert_to_numpy(ops.convert_to_tensor(x))


def rows(codes=(3, *GRID)):
    text = np.array(
        [[1, 4, 5, 2, 0, 0], [1, 6, 2, 0, 0, 0], [1, 3, 3, 4, 5, 2]]
    )
    codes = np.random.default_rng(0).integers(0, 7, codes)
    return {"text": text, "codes": codes, "text_to_image": FORWARD}


def fixed_order(monkeypatch, order):
    given = ops.convert_to_tensor(np.asarray(order, "int32"))
    monkeypatch.setattr(RandomOrder, "order", lambda *_: given)


def with_objective(generator, objective):
    """One of the same parts and another objective."""
    names = ("layout", "captions", "head", "embedding", "transformer")
    parts = [getattr(generator, name) for name in names]
    return Generator(*parts, objective=objective)


def plain_logits(generator, row, order):
    """Logits of one row's image positions, in raster order, by NumPy."""
    block = generator.blocks[0]
    w = {weight.path: to_numpy(weight) for weight in generator.weights}

    def get(end):
        return next(value for name, value in w.items() if name.endswith(end))

    text, codes, forward = (value[row] for value in rows().values())
    pads = text == 0
    ids = np.where(pads, 12 + np.arange(T), text)
    targets = get("target_embedding")
    segments = get("segment_embedding")
    words = get("text_embedding")[ids] + get("text_position_embedding")
    words += segments[0 if forward else 1]
    cells = [divmod(place, GRID[1]) for place in order]
    image = get("image_embedding")[codes.ravel()[order]] + np.stack(
        [get("row_embedding")[r] + get("column_embedding")[c] for r, c in cells]
    )
    image += segments[1 if forward else 0]
    parts = [(words, [None] * T, pads), (image, cells, np.zeros(P, bool))]
    parts = parts if forward else parts[::-1]
    x = np.concatenate([part[0] for part in parts])
    cells = [*parts[0][1], *parts[1][1]]
    hidden = np.concatenate([part[2] for part in parts])
    start = T if forward else 0
    for i, place in enumerate(order):
        if start + i:
            x[start + i - 1] += targets[place]
    x = x + block_of(block, x, cells, hidden)
    x = rms(x, to_numpy(generator.transformer.norm.scale))
    logits = x @ get("image_head") + get("image_head_bias")
    raster = np.full((P, 7), np.nan)
    for i, place in enumerate(order):
        if start + i:
            raster[place] = logits[start + i - 1]
    return raster


def rms(x, scale):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def turned(x, cell):
    """One head at its row and column, or a word, which is not turned."""
    if cell is None:
        return x
    half, quarter = len(x) // 2, len(x) // 4
    frequencies = 10000.0 ** (-np.arange(quarter) / quarter)
    angles = np.concatenate([place * frequencies for place in cell])
    z = (x[:half] + 1j * x[half:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag])


def block_of(block, x, cells, hidden):
    """What attention adds; the feed-forward is the generator's own."""
    y = rms(x, to_numpy(block.attention_norm.scale))
    qkv = y @ to_numpy(block.to_qkv.kernel)
    seen = np.tril(np.ones((len(x), len(x)), bool)) & ~hidden
    seen |= np.eye(len(x), dtype=bool)
    heads = []
    for head in range(HEADS):
        at = [slice(i * D + head * 8, i * D + head * 8 + 8) for i in range(3)]
        query, key = (
            np.stack(
                [turned(v, c) for v, c in zip(qkv[:, s], cells, strict=True)]
            )
            for s in at[:2]
        )
        scores = np.where(seen, query @ key.T / np.sqrt(8), -np.inf)
        odds = np.exp(scores - scores.max(-1, keepdims=True))
        heads.append(odds / odds.sum(-1, keepdims=True) @ qkv[:, at[2]])
    added = np.concatenate(heads, -1) @ to_numpy(block.to_out.kernel)
    y = rms(x + added, to_numpy(block.feed_forward_norm.scale))
    y = np.maximum(y @ to_numpy(block.expand.kernel), 0.0) ** 2
    return added + y @ to_numpy(block.contract.kernel)


def test_a_permuted_forward_pass_is_its_statement(monkeypatch):
    generator = small_generator(
        **SIZES,
        rotary="image",
        activation="squared_relu",
        normalization="rms",
        use_bias=False,
    )
    order = np.array(
        [[4, 0, 5, 2, 1, 3], [1, 5, 0, 2, 4, 3], [3, 2, 1, 0, 5, 4]]
    )
    fixed_order(monkeypatch, order)
    outputs = generator(rows())
    logits = to_numpy(outputs["image_logits"])[:, :, 0]
    expected = np.stack(
        [plain_logits(generator, i, order[i]) for i in range(3)]
    )
    # Of the [image][caption] row the first of its order is never predicted.
    known = ~np.isnan(expected)
    assert list(np.argwhere(~known[:, :, 0])[0]) == [1, 1]
    np.testing.assert_allclose(logits[known], expected[known], atol=1e-4)

    # Nor does it count in the loss.
    def loss(logits):
        logits = ops.convert_to_tensor(logits[:, :, None])
        changed = {**outputs, "image_logits": logits}
        return to_numpy(generator.compute_loss(x=rows(), y_pred=changed))

    before = loss(logits)
    for place, counts in ((1, False), (0, True)):
        wild = logits.copy()
        wild[1, place] += np.arange(7)
        assert (loss(wild) != before) == counts


@pytest.mark.parametrize(
    "cls,options",
    [
        (None, {"rotary": True, "token_kernel_size": 3}),
        (RQTransformer, {"code_shape": (2, 2, 2), "head_depth": 1}),
    ],
)
def test_at_the_end_the_loss_is_the_plain_one_to_the_last_bit(cls, options):
    options = {**SIZES, **options}
    generator = small_generator(**({"cls": cls} if cls else {}), **options)
    generator.objective.batches.assign(4)
    batch = rows((3, *options["code_shape"]))

    def loss(model):
        outputs = model(batch, training=True)
        return to_numpy(model.compute_loss(x=batch, y_pred=outputs))

    plain = loss(with_objective(generator, generator.objective.objective))
    assert loss(generator) == plain
    assert int(generator.objective.batches) == 5
    generator.objective.batches.assign(0)
    assert loss(generator) != plain


def test_orders_are_annealed_and_those_of_their_seed():
    generator = small_generator()
    generator.embedding.target_positions = True
    text = np.zeros((400, T))

    def drawn(annealing, seed, times=1):
        objective = RandomOrder(annealing, seed=seed)
        for _ in range(times):
            order = to_numpy(objective.order(generator, text, training=True))
        assert int(objective.batches) == times
        assert (np.sort(order, axis=1) == np.arange(4)).all()
        return order

    order = drawn((1, 9), 0)
    np.testing.assert_array_equal(order, drawn((1, 9), 0))
    assert (order != drawn((1, 9), 1)).any()
    # All alike likely: each place comes first in a quarter of the rows.
    shares = [(order[:, 0] == place).mean() for place in range(4)]
    np.testing.assert_allclose(shares, 0.25, atol=0.08)
    half = (drawn((1, 9), 0, times=6) == np.arange(4)).all(axis=1).mean()
    assert 0.45 < half < 0.6
    assert (drawn((0, 0), 0) == np.arange(4)).all()
    assert (drawn((3, 3), 0, times=3) != np.arange(4)).any()
    assert (drawn((3, 3), 0, times=4) == np.arange(4)).all()
    assert RandomOrder((1, 2)).order(generator, text) is None


def test_it_learns_and_what_is_saved_goes_on(tmp_path):
    generator = small_generator(**SIZES, order_seed=1, condition_dropout=0.3)
    generator.compile(keras.optimizers.Adam(1e-2), **FEW_STEPS)
    fitted = generator.fit(rows(), epochs=3, verbose=0)
    assert np.isfinite(fitted.history["loss"]).all()
    assert int(generator.objective.batches) == 3
    generator.save_to_preset(tmp_path / "preset")
    again = keras_bidalle.load(tmp_path / "preset")
    assert again.get_config() == generator.get_config()
    assert int(again.objective.batches) == 3
    assert again.objective.annealing == (2, 4)


@pytest.mark.any_backend
def test_what_is_folded_predicts_the_same():
    generator = small_generator(**SIZES, condition_dropout=0.3)
    plain = folded(generator)
    assert not plain.embedding.target_positions
    assert type(plain.objective) is NextToken
    expected = generator(rows())
    for name, value in plain(rows()).items():
        np.testing.assert_array_equal(to_numpy(value), to_numpy(expected[name]))
    absent, expected = (
        to_numpy(model.embedding.absent(1, True, 0))
        for model in (plain, generator)
    )
    np.testing.assert_array_equal(absent, expected)
    again = Generator.from_config(plain.get_config())
    assert again.get_config() == plain.get_config()


def test_codes_are_drawn_as_whole_rows_predict_them():
    generator = small_generator(**SIZES)
    codes = generator.generate_codes(rows()["text"], temperature=0)
    batch = {**rows(), "codes": codes, "text_to_image": np.ones(3, bool)}
    logits = to_numpy(generator(batch)["image_logits"])
    likeliest = logits.argmax(-1).reshape(codes.shape)
    np.testing.assert_array_equal(likeliest, codes)


@pytest.mark.any_backend
def test_what_cannot_be_permuted_is_told():
    with pytest.raises(ValueError, match="needs attention that is all"):
        small_generator(**SIZES, attention=("full", "axial_row"), depth=2)(
            rows(), training=True
        )
    generator = small_generator(code_shape=GRID)
    assert type(generator.objective) is NextToken
    with pytest.raises(ValueError, match="must have a `RandomOrder`"):
        folded(generator)
    with pytest.raises(ValueError, match="`target_positions=True`"):
        with_objective(generator, RandomOrder((1, 2)))(rows(), training=True)
    for annealing in (None, (2, 1), (-1, 1), (1, 2.0), (1,)):
        with pytest.raises(ValueError, match="`annealing` must be two ints"):
            RandomOrder(annealing)
    with pytest.raises(ValueError, match="`order` must be .*'spiral'"):
        small_generator(order="spiral")
