"""Checkpoints as training programs leave them: what stands around weights."""

import json
import pickle
import struct
import tarfile

import numpy as np
import pytest
from pickles import Global, Name, Object, Ordered, tensor, write_archive

from keras_bidalle.converters import (
    CheckpointError,
    read_checkpoint,
    read_state_dict,
    write_safetensors,
)
from keras_bidalle.converters.state_dict import unwrapped

pytestmark = pytest.mark.any_backend

WEIGHT = np.arange(6, dtype="float32")


def weight(offset=0, key="0"):
    return tensor("FloatStorage", key, 6, offset, (2,), (1,))


def write(path, content):
    write_archive(
        path, content, {"0": WEIGHT.tobytes(), "1": (WEIGHT + 10).tobytes()}
    )
    return path


@pytest.mark.parametrize(
    "beside",
    [
        Global("collections", "defaultdict", Name("__builtin__", "long")),
        Global("collections", "Counter", {"a": 1}),
        Global("collections", "deque", [1.0]),
        Global("datetime", "datetime", b"\x07\xe8\x01\x01"),
        Global("pathlib", "PosixPath", "/", "a"),
        Global("builtins", "frozenset", [1]),
        Global("builtins", "getattr", Name("enum", "Enum"), "x"),
        Object(Name("omegaconf.dictconfig", "DictConfig"), {"_content": {}}),
        Global("a_program.of_somebody", "Thing", 1, 2),
        {((1, 2), 3): 4},
        {1, 2},
        2**500,
    ],
)
def test_objects_beside_the_weights_are_inert(tmp_path, beside):
    content = {"state_dict": {"w": weight()}, "beside": [beside]}
    found = read_state_dict(write(tmp_path / "last.ckpt", content))
    np.testing.assert_array_equal(found["w"], [0, 1])


def test_an_object_in_the_place_of_a_weight_is_refused(tmp_path):
    content = {"state_dict": {"w": weight(), "x": Global("a.b", "make")}}
    with pytest.raises(CheckpointError, match="`x` is made by `a.b.make`"):
        read_state_dict(write(tmp_path / "last.ckpt", content))


@pytest.mark.parametrize(
    "section",
    ["state_dict", "model", "model_state_dict", "params", "net", "mine"],
)
def test_sections(tmp_path, section):
    path = write(tmp_path / "x.pt", {section: {"w": weight()}, "epoch": 3})
    assert list(read_state_dict(path)) == ["w"]


def test_the_averaged_copy_is_taken_if_asked_for(tmp_path):
    path = tmp_path / "x.pt"
    plain = {"a.w": weight(), "a.b": weight()}
    for content in (
        {"state_dict": plain, "ema": {"a.w": weight(key="1")}},
        {"model": plain, "state_dict_ema": {"a.w": weight(key="1")}},
        {"state_dict": {**plain, "model_ema.aw": weight(key="1")}},
        {"state_dict": {**plain, "ema.a.w": weight(key="1")}},
    ):
        write(path, content)
        assert read_state_dict(path)["a.w"][0] == 0
        assert read_state_dict(path, ema=True)["a.w"][0] == 10
    write(path, plain)
    with pytest.raises(CheckpointError, match="no averaged weights"):
        read_state_dict(path, ema=True)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "first_stage_model.", "model.module."]
)
def test_wrappers_put_names_before_the_programs(prefix):
    state = {prefix + "in.weight": 1, prefix + "out.weight": 2}
    state |= {"loss.x": 3, prefix + "model_ema.inweight": 4}
    found = unwrapped(state, ("in.weight",))
    assert {"in.weight": 1, "out.weight": 2}.items() <= found.items()
    assert not any("ema" in name for name in found)


def test_buffers_that_are_no_weights_are_left_out():
    state = {"in.weight": 1, "in._orig_mod.bias": 2, "a.total_ops": 3}
    assert unwrapped(state, ("in.weight",)) == {"in.weight": 1, "in.bias": 2}


def test_arrays_of_numpy_in_the_place_of_tensors(tmp_path):
    arrays = {
        "a": np.arange(6, dtype="float32").reshape(2, 3),
        "b": np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3)),
        "c": np.float32(2.5),
        "d": np.zeros((0, 2), "int64"),
    }
    for protocol in (2, 5):
        data = pickle.dumps({"model": arrays}, protocol)
        with open(tmp_path / "x.pt", "wb") as file:
            for part in (0x1950A86A20F9469CFC6C, 1001, {}):
                pickle.dump(part, file, 2)
            file.write(data)
            pickle.dump([], file, 2)
        found = read_state_dict(tmp_path / "x.pt")
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


def test_settings_in_a_checkpoint_are_plain(tmp_path):
    namespace = Object(Name("argparse", "Namespace"), {"lr": 0.5})
    node = Object(Name("omegaconf.nodes", "AnyNode"), {"_val": 3})
    omega = Object(
        Name("omegaconf.dictconfig", "DictConfig"), {"_content": {"n": node}}
    )
    content = {"args": namespace, "config": omega, "w": weight()}
    found = read_checkpoint(write(tmp_path / "x.pt", content))
    assert found["args"] == {"lr": 0.5} and found["config"] == {"n": 3}


def test_what_torch_writes_of_other_dtypes(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {
        "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
        "complex": torch.tensor([1 + 2j]),
        "float8": torch.tensor([0.5, -2.0]).to(torch.float8_e4m3fn),
        "half": torch.tensor([0.5]).half(),
    }
    torch.save({"model": tensors}, tmp_path / "x.pt")
    found = read_state_dict(tmp_path / "x.pt")
    np.testing.assert_array_equal(found["uint16"], [1, 65535])
    np.testing.assert_array_equal(found["complex"], [1 + 2j])
    np.testing.assert_array_equal(found["float8"], [0.5, -2.0])


def test_safetensors_are_written_and_read(tmp_path):
    arrays = {
        "a": WEIGHT.reshape(2, 3),
        "b": np.array(7, "int64"),
        "c": np.zeros((0, 2), "float16"),
    }
    write_safetensors(arrays, tmp_path / "x.safetensors")
    found = read_state_dict(tmp_path / "x.safetensors")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    whole = (tmp_path / "x.safetensors").read_bytes()
    for end in (4, 20, len(whole) - 1):
        (tmp_path / "x.safetensors").write_bytes(whole[:end])
        with pytest.raises(CheckpointError, match="x.safetensors"):
            read_state_dict(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 2**64]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"shape": [1]},
        [],
    ],
)
def test_damaged_headers_of_safetensors_are_told(tmp_path, entry):
    header = json.dumps({"w": entry}).encode()
    content = struct.pack("<Q", len(header)) + header + b"\0" * 4
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="tensor"):
        read_state_dict(tmp_path / "x.safetensors")


def test_a_checkpoint_in_several_files(tmp_path):
    write_safetensors({"a": WEIGHT}, tmp_path / "m-1.safetensors")
    write_safetensors({"b": WEIGHT + 1}, tmp_path / "m-2.safetensors")
    index = tmp_path / "m.safetensors.index.json"
    places = {"a": "m-1.safetensors", "b": "m-2.safetensors"}
    index.write_text(json.dumps({"weight_map": places}))
    assert sorted(read_state_dict(index)) == ["a", "b"]
    for places, message in (
        ({"a": "../m-1.safetensors"}, "outside"),
        ({"c": "m-1.safetensors"}, "do not hold `c`"),
    ):
        index.write_text(json.dumps({"weight_map": places}))
        with pytest.raises(CheckpointError, match=message):
            read_state_dict(index)


def tar(path):
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "x")


@pytest.mark.parametrize(
    "make, what",
    [
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_text("version https://git-lfs.x/v1\n"), "Git LFS"),
        (lambda p: p.write_text("\n <!DOCTYPE html><html>"), "HTML"),
        (tar, "tar archive"),
        (lambda p: p.write_bytes(b"\x1f\x8b\x08"), "gzip"),
        (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n"), "HDF5"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path, make, what):
    make(tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=f"last.ckpt.*{what}"):
        read_state_dict(tmp_path / "last.ckpt")


def test_a_checkpoint_in_several_files_of_torch(tmp_path):
    for name, state in (
        ("m-1.bin", Ordered(a=weight())),
        ("m-2.bin", {"b": weight(2)}),
    ):
        write(tmp_path / name, state)
    index = tmp_path / "m.bin.index.json"
    index.write_text(
        json.dumps({"weight_map": {"a": "m-1.bin", "b": "m-2.bin"}})
    )
    found = read_state_dict(index)
    np.testing.assert_array_equal(found["a"], WEIGHT[:2])
    np.testing.assert_array_equal(found["b"], WEIGHT[2:4])
