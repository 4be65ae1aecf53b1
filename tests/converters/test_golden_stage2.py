"""Published generators and their conversions give the same numbers.

Each golden case is a checkpoint with what the program computed from it. The
cases are found by listing, so that more of them only need to lie there.
"""

import functools
import shutil

import numpy as np
import pytest
from keras import ops

from keras_bidalle import converters
from keras_bidalle.generators import joint_logits, row_uniforms
from keras_bidalle.sampling.decoders import Sequential

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
BIDALLE = ["bidalle/full_fixed", "bidalle/mixed_fixed"]
BIDALLE += ["bidalle/mixed_learnable"]
CASES = [*BIDALLE, "mindalle/transformer"]


class Case:
    """A converted generator beside the numbers of the published program."""

    def __init__(self, folder):
        self.model = converters.convert(folder)
        with np.load(folder / "io.npz") as file:
            self.io = {name: file[name] for name in file}

    def rows(self, text_to_image):
        codes = self.io["image_tokens"]
        return {
            "text": self.io["text"].astype("int32"),
            "codes": codes.reshape(-1, *self.model.code_shape).astype("int32"),
            "text_to_image": np.full(len(codes), text_to_image),
        }


def _numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


@pytest.fixture(scope="module")
def cases(golden_dir):
    return functools.cache(lambda name: Case(golden_dir / name))


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("name", BIDALLE)
def test_bidalle_gives_the_logits_of_the_joint_vocabulary(
    cases, name, direction
):
    case = cases(name)
    logits = _numpy(joint_logits(case.model, case.rows(direction == "t2i")))
    expected = case.io[f"logits_{direction}"]
    np.testing.assert_array_equal(logits < -1e38, expected < -1e38)
    np.testing.assert_allclose(logits, expected, **TOLERANCE)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("name", BIDALLE)
def test_bidalle_gives_the_loss(cases, name, direction):
    case = cases(name)
    rows = case.rows(direction == "t2i")
    loss = case.model.compute_loss(x=rows, y_pred=case.model(rows))
    expected = case.io[f"loss_{direction}"]
    np.testing.assert_allclose(_numpy(loss), expected, **TOLERANCE)


def test_mindalle_gives_the_logits_of_both_modalities(cases):
    case = cases("mindalle/transformer")
    outputs = case.model(case.rows(True))
    for name, logits in (
        ("logits_image", outputs["image_logits"][:, :, 0]),
        ("logits_text", outputs["text_logits"]),
    ):
        np.testing.assert_allclose(_numpy(logits), case.io[name], **TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_cached_sampling_follows_the_full_forward_pass(cases, name):
    model, rows = cases(name).model, cases(name).rows(True)
    count = len(rows["text"])
    settings = {"temperature": ops.zeros((count,))}
    shape = (model.layout.num_positions, 1)
    stacks = Sequential().codes(
        model,
        ops.convert_to_tensor(rows["text"]),
        ops.convert_to_tensor(row_uniforms(range(count), shape)),
        ops.zeros((count, 0, 1), "int32"),
        settings,
    )
    again = {**rows, "codes": _numpy(model.head.from_positions(stacks))}
    logits = _numpy(model(again)["image_logits"])
    np.testing.assert_array_equal(logits.argmax(axis=-1), _numpy(stacks))


@pytest.mark.parametrize("name", BIDALLE)
def test_cached_captions_follow_the_full_forward_pass(cases, name):
    model, rows = cases(name).model, cases(name).rows(False)
    count = len(rows["text"])
    # A caption without an end has no pads, which the program feeds back.
    legal = np.full(model.captions.text_classes, -1e9, "float32")
    legal[3 : model.text_vocabulary_size] = 0.0
    text = Sequential().text(
        model,
        model.head.to_positions(rows["codes"]),
        ops.convert_to_tensor(row_uniforms(range(count), (model.text_length,))),
        ops.convert_to_tensor(legal),
        {"temperature": ops.zeros((count,))},
    )
    logits = _numpy(joint_logits(model, {**rows, "text": _numpy(text)}))
    words = logits[:, model.layout.num_positions : -1, : len(legal)] + legal
    np.testing.assert_array_equal(words.argmax(axis=-1), _numpy(text)[:, 1:])


@pytest.mark.parametrize(
    "name,file_name",
    [("bidalle/full_fixed", "dalle.pt"), (CASES[-1], "stage2.ckpt")],
)
def test_bad_checkpoints_are_told(golden_dir, name, file_name, tmp_path):
    folder = tmp_path / "case"
    shutil.copytree(golden_dir / name, folder)
    checkpoint = folder / file_name
    content = checkpoint.read_bytes()
    checkpoint.chmod(0o644)
    checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        converters.convert(folder)

    other = "bidalle/mixed_learnable" if name == CASES[-1] else CASES[-1]
    checkpoint.write_bytes(content)
    config = golden_dir / other / "config.json"
    with pytest.raises(ValueError, match="key"):
        converters.convert(checkpoint, config)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"attn_types": ["full", "sparse"]}, "`attn_types` must be one of"),
        ({"pe_type": "rotary"}, "`pe_type` must be one of"),
        ({"special_tok_idx": 3}, "`special_tok_idx` must hold"),
        ({"depth": 5}, "has no key"),
        ({"depth": 3}, "leaves no place for"),
        ({"dim": "wide"}, "`width` must be a positive integer"),
    ],
)
def test_bidalle_configurations_that_do_not_fit_are_told(
    golden_dir, options, message
):
    folder = golden_dir / "bidalle/full_fixed"
    config = converters.read_config(folder / "config.json")
    state_dict = converters.read_state_dict(folder / "dalle.pt")
    with pytest.raises(ValueError, match=message):
        converters.convert_bidalle(state_dict, {**config, **options})


def test_mindalle_configurations_may_be_nested(golden_dir):
    folder = golden_dir / "mindalle/transformer"
    config = converters.read_config(folder / "config.json")
    sizes = {k: v for k, v in config.items() if k.startswith("vocab_size")}
    options = {k: v for k, v in config.items() if k not in sizes}
    state_dict = converters.read_state_dict(folder / "stage2.ckpt")
    nested = {"stage1": {}, "stage2": {**sizes, "hparams": options}}
    flat = converters.convert_mindalle(state_dict, config)
    again = converters.convert_mindalle(state_dict, nested)
    assert again.get_config() == {**flat.get_config(), "name": again.name}
    with pytest.raises(ValueError, match="`n_dense_layers` must be"):
        converters.convert_mindalle(state_dict, {**config, "n_dense_layers": 1})
