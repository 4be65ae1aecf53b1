"""Reading pickled whole modules as data, and refusing what is none."""

import os
import pickle
import sys

import numpy as np
import published_dall_e
import pytest
from pickles import (
    Call,
    Changed,
    Global,
    Key,
    Name,
    Object,
    Sourced,
    tensor,
    to_pickle,
    write_archive,
    write_legacy,
)

from keras_bidalle.converters import (
    CheckpointError,
    ModuleRecord,
    read_checkpoint,
    read_module,
)
from keras_bidalle.converters.unpickling import Record

pytestmark = pytest.mark.any_backend

WEIGHT = np.arange(6, dtype="float32")
ENCODER = Name("dall_e.encoder", "Encoder")
RELU = Name("torch.nn.modules.activation", "ReLU")


def weight():
    return tensor("FloatStorage", "0", 6, 0, (2, 3), (3, 1))


def write(path, content, kind="archive"):
    if kind == "archive":
        write_archive(path, content, {"0": WEIGHT.tobytes()})
    elif kind == "legacy":
        write_legacy(path, content, {"0": (6, WEIGHT.tobytes())})
    else:
        path.write_bytes(to_pickle(content))


def read(path):
    return read_module(path, packages=("dall_e",))


@pytest.mark.parametrize("is_legacy", [False, True])
def test_modules_are_records_of_their_attributes_and_weights(
    tmp_path, is_legacy
):
    path = tmp_path / "encoder.pkl"
    arrays = published_dall_e.write(
        path, published_dall_e.encoder, is_legacy=is_legacy
    )
    module = read(path)
    assert module.class_name == "dall_e.encoder.Encoder"
    assert module.attributes["use_mixed_precision"] is True
    block = module.child("blocks", "group_2", "block_1")
    assert block.attributes["post_gain"] == 1 / 36
    assert module.child("blocks", "group_9", "block_1") is None
    assert list(module.child("blocks").children())[0] == "input"
    found = module.state_dict()
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_the_program_is_not_imported_and_its_source_not_run(
    tmp_path, monkeypatch
):
    package = tmp_path / "dall_e"
    package.mkdir()
    proof = tmp_path / "it_ran"
    (package / "__init__.py").write_text(f"open({str(proof)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    for is_legacy in (False, True):
        path = tmp_path / "encoder.pkl"
        published_dall_e.write(path, published_dall_e.encoder, is_legacy)
        read(path)
    assert "dall_e" not in sys.modules and not proof.exists()


def test_what_torch_itself_writes(tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.Sequential(torch.nn.BatchNorm2d(4), torch.nn.ReLU()),
        torch.nn.Linear(4, 2, bias=False),
    )
    for is_zip in (True, False):
        torch.save(
            model,
            tmp_path / "x.pt",
            _use_new_zipfile_serialization=is_zip,
        )
        found = read_module(tmp_path / "x.pt").state_dict()
        assert set(found) == set(model.state_dict())
        for name, expected in model.state_dict().items():
            np.testing.assert_array_equal(found[name], expected.numpy())


def test_modules_of_other_packages_are_refused(tmp_path):
    path = tmp_path / "x.pkl"
    for package in ("dall_e", "dall_e_2.utils", "torch.nn.modulesx", "torch"):
        write(path, Object(Name(package, "Thing"), {}))
        with pytest.raises(CheckpointError, match=f"{package}.Thing.*refused"):
            read_module(path)
    # A module is none of what is kept of a training checkpoint.
    write(path, {"module": Object(RELU, {}), "epoch": 3})
    assert read_checkpoint(path) == {"epoch": 3}


def attacks(proof):
    """Contents that try to make a file, each in its own way."""
    touch = f"touch {proof}"
    python = f"open({str(proof)!r}, 'w')"
    system = ("torch.nn.modules.module", "torch.os.system")
    yield "system", Global("os", "system", touch)
    yield "system", Global("posix", "system", touch)
    yield "eval", Global("builtins", "eval", python)
    yield "exec", Global("__builtin__", "exec", python)
    yield "check_call", Global("subprocess", "check_call", ("touch", proof))
    yield (
        "__import__",
        Global("builtins", "getattr", Global("builtins", "__import__", "os")),
    )
    yield "attrgetter", Global("operator", "attrgetter", "system")
    yield "methodcaller", Global("operator", "methodcaller", "system", touch)
    yield "os.system", Global("functools", "partial", Name("os", "system"))
    yield "os.system", Call(Name(*system), touch)
    yield "os.system", Call(Sourced(*system), touch)
    yield "load", Global("torch", "load", proof)


def inert(proof):
    """What may be harmless: it is kept as a record, and never made."""
    touch = f"touch {proof}"
    yield Call(Global("builtins", "getattr", RELU, "system"), touch)
    yield Global("torch.storage", "_load_from_bytes", b"")
    yield Global("somewhere", "else", touch)
    # Modules themselves: called, made of arguments, changed otherwise.
    yield Call(ENCODER)
    yield Call(ENCODER, touch)
    yield Object(ENCODER, args=(touch,))
    yield Object(ENCODER, (None, {"__class__": touch}))
    yield Object(ENCODER, {1: 2})
    yield Object(ENCODER, {"a": 1}, {"_modules": 2})


def changed():
    yield "changes a tensor", Changed(weight(), {"numpy": RELU})
    storage = Key("FloatStorage", "0", 6)
    yield "changes a storage", Changed(storage, {"_read": RELU})


def hidden(place, attack):
    """A module that has the attack in one of its places, some levels down."""
    state = {"_parameters": {"w": weight()}, "_buffers": {}, "_modules": {}}
    if place == "attribute":
        state["note"] = {"deep": (1, {"deeper": attack})}
    elif place == "hook":
        state["_forward_hooks"] = {0: attack}
    else:
        state[place]["x"] = attack
    inner = Object(RELU, state)
    sequential = Name("torch.nn.modules.container", "Sequential")
    middle = Object(sequential, {"_modules": {"0": inner}})
    return Object(ENCODER, {"_modules": {"blocks": middle}})


def told(path, proof):
    """The one line that a refused file is told with."""
    with pytest.raises(CheckpointError, match="encoder.pkl") as error:
        read(path)
    line = str(error.value)
    assert len(line) <= 300 and line.isprintable()
    assert not proof.exists(), line
    return line


@pytest.mark.parametrize("kind", ["archive", "legacy", "bare"])
def test_attacks_are_refused_and_nothing_runs(tmp_path, kind):
    proof, path = tmp_path / "it_ran", tmp_path / "encoder.pkl"
    for match, attack in attacks(str(proof)):
        write(path, attack, kind)
        assert match in told(path, proof)
    for attack in inert(str(proof)):
        write(path, attack, kind)
        assert kind != "archive" or "refused" in told(path, proof)


PLACES = ["attribute", "hook", "_parameters", "_buffers", "_modules"]


@pytest.mark.parametrize("place", PLACES)
def test_attacks_hidden_in_a_module_are_refused_too(tmp_path, place):
    proof, path = tmp_path / "it_ran", tmp_path / "encoder.pkl"
    for kind in ("archive", "legacy"):
        for match, attack in attacks(str(proof)):
            write(path, hidden(place, attack), kind)
            assert match in told(path, proof)


@pytest.mark.parametrize("place", PLACES)
def test_objects_in_a_module_are_never_made(tmp_path, place):
    proof, path = tmp_path / "it_ran", tmp_path / "encoder.pkl"
    for attack in inert(str(proof)):
        write(path, hidden(place, attack))
        if place in ("attribute", "hook"):
            relu = read(path).child("blocks", "0")
            assert relu.class_name.endswith("ReLU")
        else:
            assert "what they should be" in told(path, proof)
        assert not proof.exists()


def test_what_changes_a_tensor_is_refused(tmp_path):
    proof, path = tmp_path / "it_ran", tmp_path / "encoder.pkl"
    for match, change in changed():
        write(path, hidden("_parameters", change))
        assert match in told(path, proof)


def test_a_reduce_of_pythons_own_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it_ran"),)

    path = tmp_path / "encoder.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps([Evil()], protocol=protocol))
        with pytest.raises(CheckpointError, match="mkdir.*refused"):
            read(path)
    assert not (tmp_path / "it_ran").exists()


def test_a_module_keeps_nothing_but_data(tmp_path):
    path = tmp_path / "x.pkl"
    write(path, Object(RELU, {"class_name": "x", "state_dict": 3}))
    module = read_module(path)
    assert isinstance(module, ModuleRecord)
    # Attributes of the pickle do not become attributes of the record.
    assert module.class_name == "torch.nn.modules.activation.ReLU"
    assert module.state_dict() == {}
    with pytest.raises(AttributeError):
        module.class_name = "x"


@pytest.mark.parametrize(
    "state",
    [
        {"_parameters": {"w": 3}},
        {"_parameters": (1, 2)},
        {"_buffers": {0: weight()}},
        {"_modules": {"x": weight()}},
    ],
)
def test_members_of_another_kind_are_told(tmp_path, state):
    path = tmp_path / "x.pkl"
    write(path, Object(RELU, state))
    with pytest.raises(CheckpointError, match="what they should be"):
        read_module(path)


def test_a_module_inside_itself_ends_in_an_error(tmp_path):
    path = tmp_path / "x.pkl"
    write(path, Object(RELU, {"_modules": {}}))
    module = read_module(path)
    inner = Record(module.class_name, is_made=True)
    inner.states.append(module.attributes)
    module.attributes["_modules"]["again"] = inner
    with pytest.raises(CheckpointError, match="contain each other"):
        module.state_dict()


@pytest.mark.parametrize("is_legacy", [False, True])
def test_truncated_files_are_one_clear_error(tmp_path, is_legacy):
    path = tmp_path / "encoder.pkl"
    published_dall_e.write(path, published_dall_e.encoder, is_legacy)
    whole = path.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointError, match="encoder.pkl"):
            read(path)


def test_files_of_another_kind_are_one_clear_error(tmp_path):
    path = tmp_path / "encoder.pkl"
    for content in (b"", b"PK\x03\x04", b"no module", b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="encoder.pkl"):
            read(path)
    write(path, {"weight": weight()})
    with pytest.raises(CheckpointError, match="a pickled module.*dict"):
        read(path)
    write(path, weight())
    with pytest.raises(CheckpointError, match="pickled module.*_rebuild"):
        read(path)
    with pytest.raises(FileNotFoundError, match="absent.pkl"):
        read(tmp_path / "absent.pkl")
