import keras
import numpy as np
import pytest
from few_steps import FEW_STEPS
from keras import ops

from keras_bidalle.generators import (
    BidirectionalTransformer,
    PatchBidirectionalTransformer,
    joint_logits,
)

TEXT, GRID, CODES, WORDS = 6, (4, 4), 7, 11


def make_generator(cls, **kwargs):
    return cls(
        text_vocabulary_size=WORDS,
        text_length=TEXT,
        num_codes=CODES,
        code_shape=GRID,
        width=16,
        depth=2,
        num_heads=2,
        **kwargs,
    )


def make_rows(count=6):
    rng = np.random.default_rng(0)
    text = rng.integers(5, WORDS, (count, TEXT)).astype("int32")
    text[:, 0] = 1
    text[0, 3:] = [2, 0, 0]
    return {
        "text": text,
        "codes": rng.integers(0, CODES, (count, *GRID)).astype("int32"),
        "text_to_image": np.arange(count) < 4,
    }


def plain_cross_entropy(logits, targets):
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities = logits - np.log(
        np.exp(logits).sum(axis=-1, keepdims=True)
    )
    return -np.take_along_axis(log_probabilities, targets[..., None], axis=-1)[
        ..., 0
    ]


@pytest.mark.parametrize(
    "cls", [BidirectionalTransformer, PatchBidirectionalTransformer]
)
def test_the_target_weighs_seven_eighths_and_the_condition_one(cls):
    generator = make_generator(cls)
    rows = make_rows()
    outputs = generator(rows)
    loss = generator.compute_loss(x=rows, y_pred=outputs)

    stacks = ops.convert_to_numpy(generator.head.to_positions(rows["codes"]))
    image = plain_cross_entropy(
        ops.convert_to_numpy(outputs["image_logits"]), stacks
    )
    text = plain_cross_entropy(
        ops.convert_to_numpy(outputs["text_logits"]), rows["text"][:, 1:]
    )
    words = rows["text"][:, 1:] != 0
    forward = rows["text_to_image"]
    expected = 4 / 6 * (
        7 / 8 * image[forward].mean()
        + 1 / 8 * text[forward][words[forward]].mean()
    ) + 2 / 6 * (
        7 / 8 * text[~forward][words[~forward]].mean()
        + 1 / 8 * image[~forward][:, 1:].mean()
    )
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "cls", [BidirectionalTransformer, PatchBidirectionalTransformer]
)
def test_the_start_of_a_caption_after_a_picture_may_be_predicted(cls):
    generator = make_generator(cls, predict_start=True, head_bias=False)
    rows = make_rows()
    outputs = generator(rows)
    loss = generator.compute_loss(x=rows, y_pred=outputs)
    text = plain_cross_entropy(
        ops.convert_to_numpy(outputs["text_logits"]), rows["text"]
    )
    image = plain_cross_entropy(
        ops.convert_to_numpy(outputs["image_logits"]),
        ops.convert_to_numpy(generator.head.to_positions(rows["codes"])),
    )
    words = rows["text"] != 0
    forward = rows["text_to_image"]
    condition = text[forward][:, 1:][words[forward][:, 1:]]
    expected = 4 / 6 * (
        7 / 8 * image[forward].mean() + 1 / 8 * condition.mean()
    ) + 2 / 6 * (
        7 / 8 * text[~forward][words[~forward]].mean()
        + 1 / 8 * image[~forward][:, 1:].mean()
    )
    np.testing.assert_allclose(ops.convert_to_numpy(loss), expected, rtol=1e-5)
    assert not [w.name for w in generator.weights if "head_bias" in w.name]


def test_without_pad_tokens_a_pad_is_a_token_like_any_other():
    rows = make_rows()
    generator = make_generator(
        BidirectionalTransformer, pad_tokens=False, pad_id=None
    )
    outputs = generator(rows)
    assert outputs["text_logits"].shape == (6, TEXT - 1, WORDS)
    loss = generator.compute_loss(x=rows, y_pred=outputs)
    padded = make_generator(BidirectionalTransformer, pad_tokens=False)
    padded.set_weights(generator.get_weights())
    other = padded.compute_loss(x=rows, y_pred=outputs)
    assert abs(ops.convert_to_numpy(loss) - ops.convert_to_numpy(other)) > 1e-6


def test_joint_logits_hold_those_that_predict_something():
    generator = make_generator(BidirectionalTransformer)
    for weight in generator.trainable_variables:
        weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=5))
    rows = make_rows()
    joint = ops.convert_to_numpy(joint_logits(generator, rows))
    outputs = {k: ops.convert_to_numpy(v) for k, v in generator(rows).items()}
    places, classes = (
        generator.layout.num_positions,
        generator.captions.text_classes,
    )
    assert joint.shape == (6, TEXT + places, classes + CODES)
    for row, forward in enumerate(rows["text_to_image"]):
        before = slice(TEXT - 1) if forward else slice(places, -1)
        np.testing.assert_allclose(
            joint[row, before, :classes],
            outputs["text_logits"][row],
            rtol=1e-5,
            atol=1e-6,
        )
        assert (joint[row, before, classes:] < -3e38).all()
        before = slice(TEXT - 1, -1) if forward else slice(places - 1)
        np.testing.assert_allclose(
            joint[row, before, classes:],
            outputs["image_logits"][row, 0 if forward else 1 :, 0],
            rtol=1e-5,
            atol=1e-6,
        )
        assert (joint[row, before, :classes] < -3e38).all()
    with pytest.raises(ValueError, match="one code a position"):
        joint_logits(make_generator(PatchBidirectionalTransformer), rows)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "cls", [BidirectionalTransformer, PatchBidirectionalTransformer]
)
def test_fit_learns_both_directions_in_one_batch(cls, policy):
    generator = make_generator(
        cls,
        rotary=True,
        condition_dropout=0.1,
        attention=("full", "axial_row"),
        dtype=policy,
    )
    traced = policy == "float32"
    generator.compile(
        keras.optimizers.Adam(1e-2), **({} if traced else FEW_STEPS)
    )
    rows = make_rows(8)
    history = generator.fit(rows, batch_size=8, epochs=12, verbose=0).history
    for name in ("loss", "image_loss", "text_loss"):
        assert history[name][-1] < history[name][0]


def test_segments_tell_the_condition_from_the_target():
    generator = make_generator(BidirectionalTransformer)
    rows = make_rows()
    before = ops.convert_to_numpy(generator(rows)["image_logits"])
    # Blocks start as the identity, so only the input's segment acts.
    swapped = ops.convert_to_numpy(generator.embedding.segments)[::-1]
    generator.embedding.segments.assign(swapped.copy())
    after = ops.convert_to_numpy(generator(rows)["image_logits"])
    assert np.abs(after - before).max() > 1e-4


def test_a_later_token_never_changes_an_earlier_prediction():
    generator = make_generator(
        PatchBidirectionalTransformer,
        rotary=True,
        token_kernel_size=4,
        mask_padding=False,
    )
    for weight in generator.trainable_variables:
        weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=5))
    rows = make_rows()
    before = {
        name: ops.convert_to_numpy(value)
        for name, value in generator(rows).items()
    }
    changed = dict(rows, codes=rows["codes"].copy(), text=rows["text"].copy())
    changed["codes"][:, 2:, 2:] = 0
    changed["text"][:, 4:] = 5
    after = {
        name: ops.convert_to_numpy(value)
        for name, value in generator(changed).items()
    }
    forward = rows["text_to_image"]
    # [caption][image]: of the image only the last patch changed.
    np.testing.assert_allclose(
        after["text_logits"][forward, :3], before["text_logits"][forward, :3]
    )
    # [image][caption]: the first three patches come before all changes.
    np.testing.assert_allclose(
        after["image_logits"][~forward, :3],
        before["image_logits"][~forward, :3],
        rtol=1e-6,
    )


def test_the_configuration_survives_a_round_trip():
    generator = make_generator(
        PatchBidirectionalTransformer, patch_head_width=24, rotary=True
    )
    again = type(generator).from_config(generator.get_config())
    assert again.get_config() == generator.get_config()
    assert [w.shape for w in again.weights] == [
        w.shape for w in generator.weights
    ]


@pytest.mark.parametrize(
    "options,message",
    [
        ({"condition_dropout": 1.0}, "`condition_dropout` must lie"),
        ({"image_positions": "none"}, "`image_positions` must be"),
        ({"attention": ("sparse",)}, "Attention kinds are"),
        ({"activation": "tanh"}, "`activation` must be"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_generator(BidirectionalTransformer, **options)


def test_a_patch_must_divide_the_grid():
    with pytest.raises(ValueError, match="`patch_size` must be"):
        make_generator(PatchBidirectionalTransformer, patch_size=3)
