"""The recipe on every published program's folder, whole and damaged."""

import contextlib
import io
import pathlib
import pickle
import shutil
import tempfile
import zipfile

import numpy as np
import pytest
from golden import VQGAN_CASES
from keras import ops

from keras_bidalle import presets
from keras_bidalle.generators import joint_logits

# From a case to the files with its weights.
FILES = {
    **dict.fromkeys(VQGAN_CASES, ("last.ckpt",)),
    "augvae/ml": ("mlvae.ckpt",),
    "augvae/sl": ("slvae.ckpt",),
    "dall_e/dvae": ("encoder.pkl", "decoder.pkl"),
    **dict.fromkeys(("rq_vae/shared", "rq_vae/per_depth"), ("model.pt",)),
    **dict.fromkeys(
        ("bidalle/full_fixed", "bidalle/mixed_fixed"), ("dalle.pt",)
    ),
    "bidalle/mixed_learnable": ("dalle.pt",),
    "mindalle/transformer": ("stage2.ckpt",),
    **dict.fromkeys(
        (
            "rq_transformer/per_depth_class",
            "rq_transformer/per_depth_text",
            "rq_transformer/shared_class",
            "rq_transformer/shared_text",
        ),
        ("model.pt",),
    ),
}
# One of each program, for what is told before a model is made.
PROGRAMS = (
    "te_vqgan/maxpool_zero",
    "taming/gumbel",
    "augvae/sl",
    "dall_e/dvae",
    "rq_vae/shared",
    "bidalle/full_fixed",
    "mindalle/transformer",
    "rq_transformer/shared_text",
)


@pytest.fixture(scope="module")
def reference(golden_dir):
    return golden_dir


def tokenizer_option(reference, name):
    """An RQ-Transformer's checkpoint leaves out the codebooks."""
    program, _, case = name.partition("/")
    if program != "rq_transformer":
        return []
    tokenizer = reference / "rq_vae" / case.rpartition("_")[0]
    return ["--tokenizer", str(tokenizer)]


def check(model, name, golden):
    """The stored outputs, each program's as it has them."""
    program = name.partition("/")[0]
    if program == "bidalle":
        for direction in ("t2i", "i2t"):
            rows = {
                "text": golden["text"],
                "codes": golden["image_tokens"].reshape(-1, *model.code_shape),
                "text_to_image": np.full(
                    len(golden["text"]), direction == "t2i"
                ),
            }
            close(joint_logits(model, rows), golden[f"logits_{direction}"])
    elif program in ("mindalle", "rq_transformer"):
        codes = golden["codes" if "codes" in golden else "image_tokens"]
        text = golden["cond" if "cond" in golden else "text"]
        outputs = model(
            {
                "text": text,
                "codes": codes.reshape(-1, *model.code_shape),
                "text_to_image": np.ones(len(codes), bool),
            }
        )
        for ours, theirs in (
            ("image_logits", "logits_image"),
            ("image_logits", "logits"),
            ("text_logits", "logits_text"),
            ("text_logits", "cond_logits"),
        ):
            if theirs in golden:
                close(outputs[ours], golden[theirs])
    else:
        image, expected = (
            np.moveaxis(golden[part], 1, -1)
            for part in ("image", "reconstruction")
        )
        if program == "dall_e":  # Images in [0, 1].
            image, expected = 2 * image - 1, 2 * expected - 1
        stored = ("codes", "indices", "token_sequence")
        codes = next(golden[part] for part in stored if part in golden)
        if codes.ndim == 2:
            codes = codes.reshape(-1, *model.code_shape)
        found = model.quantizer.encode(
            model.to_latents(ops.convert_to_tensor(image), training=False)
        )
        np.testing.assert_array_equal(ops.convert_to_numpy(found), codes)
        close(model.decode(codes), np.clip(expected, -1, 1))


def close(found, expected):
    found = ops.convert_to_numpy(ops.convert_to_tensor(found))
    np.testing.assert_allclose(
        found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5
    )


def test_no_folder_is_forgotten(reference):
    found = {
        str(path.parent.relative_to(reference))
        for path in reference.glob("*/*/io.npz")
    }
    assert set(FILES) <= found
    assert {name.partition("/")[0] for name in found} == {
        name.partition("/")[0] for name in PROGRAMS
    }


@pytest.mark.parametrize("name", FILES)
def test_a_folder_becomes_a_preset_with_the_stored_outputs(
    recipe, reference, name, tmp_path, capsys
):
    output = tmp_path / "preset"
    arguments = [str(reference / name), "--output", str(output)]
    arguments += tokenizer_option(reference, name)
    assert recipe(arguments) == 0
    model = presets.load(output)
    captured = capsys.readouterr()
    assert type(model).__name__ in captured.out
    assert "Error" not in captured.err
    with np.load(reference / name / "io.npz") as file:
        check(model, name, dict(file))
    # The card's lines are about this model.
    card = (output / "README.md").read_text()
    assert f"{model.count_params():,} parameters" in card
    assert ("text_to_image" in card) == hasattr(model, "text_length")
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def end_missing(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("<html>404</html>\n")


def arrays(path):
    """A zip file too, as torch's are."""
    with open(path, "wb") as file:
        np.savez(file, weight=np.zeros(3))


def folder(path):
    path.unlink()
    path.mkdir()


def missing(path):
    path.unlink()


def without_weights(path):
    with zipfile.ZipFile(path, "w") as archive:
        content = pickle.dumps({"state_dict": {"epoch": 3}}, protocol=2)
        archive.writestr("archive/data.pkl", content)


# A pickle's program: call, forget the result, and go on as if nothing were.
SYSTEM = b"cposix\nsystem\n(S'touch it_ran'\ntR0"
EXEC = b'c__builtin__\nexec\n(S\'open("it_ran", "w")\'\ntR0'


def hidden_in_the_weights(path, call=SYSTEM):
    """The checkpoint itself, with a call before its contents."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if name.endswith("/data.pkl"):
                content = content[:2] + call + content[2:]
                assert_it_would_run(content)
            archive.writestr(name, content)


def hidden_exec(path):
    hidden_in_the_weights(path, EXEC)


def bare_pickle(path):
    content = SYSTEM + pickle.dumps({"state_dict": {}}, protocol=2)
    assert_it_would_run(content)
    path.write_bytes(content)


def checkpoint_in_a_checkpoint(path):
    hidden_in_the_weights(path)
    inner = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", inner)


def assert_it_would_run(content):
    """Python's own unpickler walks into the trap: it is one."""
    proof = pathlib.Path("it_ran")
    with contextlib.suppress(Exception):
        pickle.load(io.BytesIO(content))
    assert proof.is_file()
    proof.unlink()


MALICIOUS = (hidden_in_the_weights, hidden_exec, bare_pickle)
DAMAGES = (
    *(truncated, end_missing, empty, missing, text, arrays, folder),
    without_weights,
    *MALICIOUS,
    checkpoint_in_a_checkpoint,
)


@pytest.fixture
def fails(recipe, tmp_path, capsys, monkeypatch):
    """Asserts one line of error, and that nothing ran or is left behind."""
    monkeypatch.chdir(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = {"case", "scratch"}

    def run(*arguments):
        assert recipe([*arguments, "--output", "converted/model"]) == 1
        captured = capsys.readouterr()
        (line,) = captured.err.strip().splitlines()
        assert line.startswith("Error: ") and not captured.out
        assert {path.name for path in tmp_path.iterdir()} == before
        assert not list(scratch.iterdir())
        return line

    return run


def copied(reference, name):
    """A case of its own in the working folder, free to be damaged."""
    case = pathlib.Path("case")
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    for file in (*FILES[name], "config.json"):
        shutil.copyfile(reference / name / file, case / file)
    return case


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_damaged_or_malicious_checkpoint_is_one_line(fails, reference, name):
    for damage in DAMAGES:
        for file in FILES[name]:
            case = copied(reference, name)
            damage(case / file)
            line = fails("case", *tokenizer_option(reference, name))
            if damage in MALICIOUS:
                assert "refused" in line, (damage, line)
            # The file or its folder is named, by which one finds it.
            assert "case" in line or file in line, (damage, line)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mislabelled_checkpoint_is_one_line(fails, reference, name):
    """Another program's configuration, or its checkpoint under this name."""
    others = [other for other in PROGRAMS if other != name]
    if name == "dall_e/dvae":
        case = copied(reference, name)
        shutil.copyfile(case / "encoder.pkl", case / "decoder.pkl")
        fails("case")
        return
    for other in others:
        if other != "dall_e/dvae":
            copied(reference, name)
            config = reference / other / "config.json"
            fails(
                f"case/{FILES[name][0]}",
                *("--config", str(config)),
                *tokenizer_option(reference, other),
            )


def test_a_bad_tokenizer_of_a_generator_is_one_line(fails, reference):
    name = "rq_transformer/shared_text"
    generator = str(reference / name)
    for damage in DAMAGES:
        case = copied(reference, "rq_vae/shared")
        damage(case / "model.pt")
        fails(generator, "--tokenizer", "case")
    case = copied(reference, "rq_vae/shared")
    fails(generator)
    fails(generator, "--tokenizer", "nowhere")
    fails(generator, "--tokenizer", str(reference / "taming/gumbel"))


def test_a_malicious_configuration_is_one_line(fails, reference):
    case = copied(reference, "taming/gumbel")
    (case / "config.json").unlink()
    (case / "config.yaml").write_text(
        "model: !!python/object/apply:os.system ['touch it_ran']\n"
    )
    assert "config.yaml" in fails("case")
