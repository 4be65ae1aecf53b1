"""The "llama" preset of the block: rotations by row and column, SwiGLU."""

import numpy as np
import pytest
from keras import ops
from small_generators import small_generator

from keras_bidalle.generators import BidirectionalTransformer
from keras_bidalle.transformer.rotary import RowRotation, image_angles, rotate
from keras_bidalle.transformer.row_layout import RowLayout
from keras_bidalle.transformer.transformer_block import TransformerBlock

T, GRID, D = 3, (2, 3), 8


def to_numpy(x):
    return ops.convert_to_numpy(x)


def turned(x, row, column):
    """One head (D,) at a row and a column, as complex numbers."""
    half = D // 2
    frequencies = 10000.0 ** (-np.arange(D // 4) / (D // 4))
    angles = np.concatenate([row * frequencies, column * frequencies])
    z = (x[:half] + 1j * x[half:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag])


def test_codes_are_turned_by_row_and_column_and_words_not_at_all():
    x = np.random.default_rng(0).normal(size=(1, 1, T + 6, D)).astype("float32")
    rotation = RowRotation(T, GRID, D, "image").tables(True, "float32")
    out = to_numpy(rotate(ops.convert_to_tensor(x), rotation))[0, 0]
    np.testing.assert_array_equal(out[:T], x[0, 0, :T])
    for place in range(6):
        expected = turned(x[0, 0, T + place], *divmod(place, 3))
        np.testing.assert_allclose(out[T + place], expected, atol=1e-5)


def test_only_the_distance_of_two_codes_counts():
    rng = np.random.default_rng(1)
    query, key = rng.normal(size=(2, D))
    scores = [
        turned(query, row + 1, column) @ turned(key, row, column + 1)
        for row in range(3)
        for column in range(3)
    ]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-6)


def rms(x, scale):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def test_a_block_is_its_equations():
    options = BidirectionalTransformer.checked_options(
        {"block_preset": "llama", "feed_forward_width": 12}, 16
    )
    names = ("normalization", "activation", "use_bias", "qkv_bias")
    names += ("query_key_norm", "feed_forward_width")
    block = TransformerBlock(16, 2, **{name: options[name] for name in names})
    block.build((None, None, 16))
    rng = np.random.default_rng(2)
    weights = {}
    for weight in block.weights:
        value = rng.normal(size=tuple(weight.shape)).astype("float32")
        weight.assign(value)
        weights["/".join(weight.path.split("/")[-2:])] = value
    assert not any("bias" in name or "beta" in name for name in weights)
    x = rng.normal(size=(1, T + 6, 16)).astype("float32")
    rotation = RowRotation(T, GRID, D, options["rotary"])
    out = block(
        ops.convert_to_tensor(x), rotation=rotation.tables(True, "float32")
    )

    def norm(name, y):
        return rms(y, weights[f"{name}/scale"])

    qkv = norm("attention_norm", x[0]) @ weights["to_qkv/kernel"]
    heads = []
    for head in range(2):
        query, key, value = (
            qkv[:, part * 16 + head * D : part * 16 + head * D + D]
            for part in range(3)
        )
        query, key = norm("query_norm", query), norm("key_norm", key)
        for place in range(6):
            at = divmod(place, 3)
            query[T + place] = turned(query[T + place], *at)
            key[T + place] = turned(key[T + place], *at)
        scores = np.exp(query @ key.T / np.sqrt(D))
        heads.append(scores / scores.sum(-1, keepdims=True) @ value)
    y = x[0] + np.concatenate(heads, -1) @ weights["to_out/kernel"]
    hidden = norm("feed_forward_norm", y) @ weights["expand/kernel"]
    value, gate = np.split(hidden, 2, axis=-1)
    y = y + (value * gate / (1 + np.exp(-gate))) @ weights["contract/kernel"]
    np.testing.assert_allclose(to_numpy(out)[0], y, rtol=1e-3, atol=1e-3)


def test_the_preset_is_kept_and_gives_way_to_what_is_given():
    generator = small_generator(block_preset="llama", activation="gelu")
    block = generator.blocks[0]
    assert (block.normalization, block.activation) == ("rms", "gelu")
    assert block.query_key_norm and not block.use_bias
    assert block.feed_forward_width == 256
    assert generator.layout.rotary == "image"
    config = generator.get_config()
    again = BidirectionalTransformer.from_config(config)
    assert again.get_config() == config


def test_decoding_is_the_whole_row_at_once():
    generator = small_generator(block_preset="llama")
    text = np.array([[1, 4, 5, 2, 0, 0]] * 3)
    codes = generator.generate_codes(text, seed=[0, 1, 2], temperature=1e-6)
    logits = generator(
        {"text": text, "codes": codes, "text_to_image": np.ones(3, bool)}
    )["image_logits"]
    likeliest = to_numpy(logits).argmax(-1).reshape(codes.shape)
    np.testing.assert_array_equal(codes, likeliest)


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="`block_preset` must be .*'gpt'"):
        small_generator(block_preset="gpt")
    with pytest.raises(ValueError, match="`rotary` must be .*'text'"):
        RowLayout(T, GRID, 1, D, rotary="text")
    with pytest.raises(ValueError, match="multiple of 4.*head_dim=6"):
        image_angles(T, GRID, 6)
