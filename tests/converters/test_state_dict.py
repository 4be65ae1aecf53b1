"""Reading torch checkpoints without torch, and without running them."""

import os
import pickle
import struct

import numpy as np
import pytest
from pickles import Global, tensor, write_archive, write_legacy

from keras_bidalle.converters import (
    CheckpointError,
    read_checkpoint,
    read_state_dict,
)

pytestmark = pytest.mark.any_backend

WEIGHT = np.arange(6, dtype="float32")


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "last.ckpt"
    content = {
        "state_dict": {
            "weight": tensor("FloatStorage", "0", 6, 0, (2, 3), (3, 1)),
            "transposed": tensor("FloatStorage", "0", 6, 0, (3, 2), (1, 3)),
            "part": tensor("FloatStorage", "0", 6, 2, (2,), (1,)),
            "scalar": tensor("LongStorage", "1", 1, 0, (), ()),
        },
        "epoch": 3,
        "callbacks": Global("pytorch_lightning.callbacks", "Checkpoint", 1),
    }
    write_archive(
        path, content, {"0": WEIGHT.tobytes(), "1": struct.pack("<q", 7)}
    )
    return path


def test_tensors_come_out_as_arrays(archive):
    found = read_state_dict(archive)
    assert list(found) == ["weight", "transposed", "part", "scalar"]
    np.testing.assert_array_equal(found["weight"], WEIGHT.reshape(2, 3))
    np.testing.assert_array_equal(found["transposed"], WEIGHT.reshape(2, 3).T)
    np.testing.assert_array_equal(found["part"], WEIGHT[2:4])
    assert found["scalar"] == 7 and found["scalar"].dtype == "int64"
    found["part"][:] = 0  # They share memory, as torch's do.
    assert found["weight"][0, 2] == 0


def test_the_rest_of_a_checkpoint_without_objects_of_the_program(archive):
    assert read_checkpoint(archive)["epoch"] == 3
    assert "callbacks" not in read_checkpoint(archive)


@pytest.mark.parametrize(
    "kind, dtype, data",
    [
        ("FloatStorage", "float32", [1.5, -2.0]),
        ("DoubleStorage", "float64", [1.5, -2.0]),
        ("HalfStorage", "float16", [1.5, -2.0]),
        ("IntStorage", "int32", [1, -2]),
        ("BoolStorage", "bool", [True, False]),
    ],
)
def test_dtypes(tmp_path, kind, dtype, data):
    path, array = tmp_path / "x.pt", np.array(data, dtype)
    content = {"x": tensor(kind, "0", 2, 0, (2,), (1,))}
    write_archive(path, content, {"0": array.tobytes()})
    found = read_state_dict(path)["x"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, array)


def test_bfloat16_comes_out_as_float32(tmp_path):
    path = tmp_path / "x.pt"
    content = {"x": tensor("BFloat16Storage", "0", 2, 0, (2,), (1,))}
    upper = np.array([1.5, -2.0], "float32").view("u4") >> 16
    write_archive(path, content, {"0": upper.astype("u2").tobytes()})
    np.testing.assert_array_equal(read_state_dict(path)["x"], [1.5, -2.0])


def test_big_endian_archives(tmp_path):
    path = tmp_path / "x.pt"
    content = {"x": tensor("FloatStorage", "0", 6, 0, (6,), (1,))}
    storages = {"0": WEIGHT.astype(">f4").tobytes()}
    write_archive(path, content, storages, byteorder=b"big")
    np.testing.assert_array_equal(read_state_dict(path)["x"], WEIGHT)


def test_the_format_before_torch_1_6(tmp_path):
    path = tmp_path / "vgg16.pth"
    content = {
        "a": tensor("FloatStorage", "first", 6, 0, (2, 3), (3, 1)),
        "b": tensor("LongStorage", "second", 1, 0, (1,), (1,)),
    }
    storages = {
        "first": (6, WEIGHT.tobytes()),
        "second": (1, struct.pack("<q", 7)),
    }
    write_legacy(path, content, storages)
    found = read_state_dict(path)
    np.testing.assert_array_equal(found["a"], WEIGHT.reshape(2, 3))
    np.testing.assert_array_equal(found["b"], [7])
    whole = path.read_bytes()
    for end in (len(whole) - 4, len(whole) - 40, 60, 10):
        path.write_bytes(whole[:end])
        with pytest.raises(CheckpointError, match="vgg16.pth"):
            read_state_dict(path)


def test_what_torch_itself_writes(tmp_path):
    torch = pytest.importorskip("torch")
    state_dict = {
        "a": torch.randn(3, 4).T,
        "b": torch.nn.Parameter(torch.randn(2, 2)),
        "c": torch.randn(5).to(torch.bfloat16),
        "d": torch.zeros(0, 3),
    }
    parameter = torch.nn.Parameter(torch.randn(2))
    extra = torch.optim.Adam([parameter]).state_dict()
    for is_zip in (True, False):
        torch.save(
            {"state_dict": state_dict, "optimizer_states": [extra]},
            tmp_path / "x.pt",
            _use_new_zipfile_serialization=is_zip,
        )
        found = read_state_dict(tmp_path / "x.pt")
        assert list(found) == list(state_dict)
        for name, expected in state_dict.items():
            np.testing.assert_array_equal(
                found[name], expected.detach().float().numpy()
            )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_archives_are_one_clear_error(archive, share):
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="last.ckpt.*cannot|can be read"):
        read_state_dict(archive)


def test_damaged_archives_are_one_clear_error(archive):
    whole = bytearray(archive.read_bytes())
    place = whole.index(WEIGHT.tobytes())
    whole[place] ^= 1
    archive.write_bytes(whole)
    with pytest.raises(CheckpointError, match="CRC"):
        read_state_dict(archive)


@pytest.mark.parametrize("content", [b"", b"hello, world", b"PK\x03\x04"])
def test_files_of_another_kind_are_one_clear_error(tmp_path, content):
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="last.ckpt"):
        read_state_dict(path)


def test_a_missing_file_is_told_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.ckpt"):
        read_state_dict(tmp_path / "absent.ckpt")


def test_a_checkpoint_without_weights_is_told(tmp_path):
    write_archive(tmp_path / "x.pt", {"epoch": 3}, {})
    with pytest.raises(CheckpointError, match="no state dict"):
        read_state_dict(tmp_path / "x.pt")


@pytest.mark.parametrize(
    "shape, strides, offset",
    [((7,), (1,), 0), ((6,), (1,), 1), ((2,), (6,), 0), ((-1,), (1,), 0)],
)
def test_tensors_beyond_their_storage_are_refused(
    tmp_path, shape, strides, offset
):
    content = {"x": tensor("FloatStorage", "0", 6, offset, shape, strides)}
    write_archive(tmp_path / "x.pt", content, {"0": WEIGHT.tobytes()})
    with pytest.raises(CheckpointError, match="tensor"):
        read_state_dict(tmp_path / "x.pt")


def test_storages_missing_or_short_are_refused(tmp_path):
    content = {"x": tensor("FloatStorage", "0", 6, 0, (6,), (1,))}
    for storages in ({}, {"0": WEIGHT.tobytes()[:-4]}):
        write_archive(tmp_path / "x.pt", content, storages)
        with pytest.raises(CheckpointError, match="storage `0`"):
            read_state_dict(tmp_path / "x.pt")


@pytest.mark.parametrize(
    "module, name, args",
    [
        ("os", "system", ("touch {proof}",)),
        ("posix", "system", ("touch {proof}",)),
        ("builtins", "eval", ("open({proof!r}, 'w')",)),
        ("builtins", "getattr", ("x", "y")),
        ("subprocess", "check_call", (("touch", "{proof}"),)),
        ("torch", "load", ("{proof}",)),
        ("shutil", "rmtree", ("{folder}",)),
    ],
)
@pytest.mark.parametrize("write", ["archive", "legacy"])
def test_malicious_pickles_are_refused_and_nothing_runs(
    tmp_path, module, name, args, write
):
    proof = tmp_path / "it_ran"

    def filled(node):
        if isinstance(node, tuple):
            return tuple(map(filled, node))
        return node.format(proof=str(proof), folder=str(tmp_path))

    content = {
        "state_dict": {
            "x": tensor("FloatStorage", "0", 6, 0, (6,), (1,)),
            "y": Global(module, name, *filled(args)),
        }
    }
    path = tmp_path / "evil.ckpt"
    if write == "archive":
        write_archive(path, content, {"0": WEIGHT.tobytes()})
    else:
        write_legacy(path, content, {"0": (6, WEIGHT.tobytes())})
    with pytest.raises(CheckpointError, match=f"{module}.{name}.*refused"):
        read_state_dict(path)
    assert not proof.exists() and path.exists()


def test_a_pickle_by_pythons_own_means_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it_ran"),)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="mkdir.*refused"):
        read_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "it_ran").exists()
