"""Published weights of extractors, in the names of either file."""

import numpy as np
import pytest

from keras_bidalle.converters.extractors import (
    _node_of,
    fid_inception_arrays,
    fid_inception_of_state_dict,
)
from keras_bidalle.converters.graph_def import read_constants
from keras_bidalle.metrics.extractors.fid_inception import convolution_names

pytestmark = pytest.mark.any_backend


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content if isinstance(content, bytes) else content.encode()
    return varint(number << 3 | 2) + varint(len(content)) + content


def constant(name, array):
    """A Const node of a frozen graph, as TensorFlow writes it."""
    dims = b"".join(field(2, field(1, size)) for size in array.shape)
    tensor = field(1, 1) + field(2, dims)
    tensor += field(4, array.astype("<f4").tobytes())
    entry = field(1, "value") + field(2, field(8, tensor))
    return field(1, field(1, name) + field(2, "Const") + field(5, entry))


def small_state_dict():
    """Torch's names with the fewest numbers that the reader takes."""
    rng = np.random.default_rng(0)
    found = {}
    for name in convolution_names():
        found[f"{name}.conv.weight"] = rng.normal(size=(2, 3, 1, 2))
        found[f"{name}.bn.weight"] = np.ones(2)
        for other in ("bias", "running_mean", "running_var"):
            found[f"{name}.bn.{other}"] = rng.normal(size=2)
    found["fc.weight"] = rng.normal(size=(1008, 2048))
    found["fc.bias"] = rng.normal(size=1008)
    return {k: v.astype("float32") for k, v in found.items()}


@pytest.fixture(scope="module")
def state_dict():
    return small_state_dict()


def graph_of(state_dict):
    nodes = [field(1, field(1, "input") + field(2, "Placeholder"))]
    for name in convolution_names():
        node = _node_of(name)
        kernel = state_dict[f"{name}.conv.weight"].transpose(2, 3, 1, 0)
        nodes.append(constant(f"{node}/conv2d_params", kernel))
        for ours, theirs in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ):
            array = state_dict[f"{name}.bn.{ours}"]
            nodes.append(constant(f"{node}/batchnorm/{theirs}", array))
    nodes.append(constant("softmax/weights", state_dict["fc.weight"].T))
    nodes.append(constant("softmax/biases", state_dict["fc.bias"]))
    return b"".join(nodes)


def test_both_published_files_give_the_same_arrays(state_dict, tmp_path):
    path = tmp_path / "classify_image_graph_def.pb"
    path.write_bytes(graph_of(state_dict))
    arrays = fid_inception_of_state_dict(state_dict)
    found = fid_inception_arrays(path)
    assert set(found) == set(arrays) and len(found) == 94 * 4 + 2
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_the_graphs_names_are_the_published_ones():
    assert [_node_of(name) for name in convolution_names()][:6] == [
        *("conv", "conv_1", "conv_2", "conv_3", "conv_4", "mixed/conv")
    ]
    for name, node in {
        "Mixed_5b.branch5x5_2": "mixed/tower/conv_1",
        "Mixed_5c.branch3x3dbl_3": "mixed_1/tower_1/conv_2",
        "Mixed_5d.branch_pool": "mixed_2/tower_2/conv",
        "Mixed_6a.branch3x3": "mixed_3/conv",
        "Mixed_6a.branch3x3dbl_1": "mixed_3/tower/conv",
        "Mixed_6e.branch7x7_1": "mixed_7/tower/conv",
        "Mixed_6b.branch7x7dbl_5": "mixed_4/tower_1/conv_4",
        "Mixed_7a.branch3x3_2": "mixed_8/tower/conv_1",
        "Mixed_7a.branch7x7x3_4": "mixed_8/tower_1/conv_3",
        "Mixed_7b.branch3x3_1": "mixed_9/tower/conv",
        "Mixed_7c.branch3x3_2b": "mixed_10/tower/mixed/conv_1",
        "Mixed_7c.branch3x3dbl_2": "mixed_10/tower_1/conv_1",
        "Mixed_7c.branch3x3dbl_3a": "mixed_10/tower_1/mixed/conv",
    }.items():
        assert _node_of(name) == node
    assert len({_node_of(name) for name in convolution_names()}) == 94


def test_another_network_is_refused(state_dict):
    changed = {**state_dict, "Mixed_5b.branch1x1.bn.weight": np.full(2, 0.5)}
    with pytest.raises(ValueError, match="scale of 1"):
        fid_inception_of_state_dict(changed)
    # torchvision's has 1000 classes.
    changed = {**state_dict, "fc.weight": np.zeros((1000, 2048), "float32")}
    with pytest.raises(ValueError, match="fc.weight"):
        fid_inception_of_state_dict(changed)


def test_damaged_graphs_are_one_error(tmp_path):
    path = tmp_path / "graph.pb"
    whole = constant("a", np.arange(6.0).reshape(2, 3))
    path.write_bytes(whole)
    np.testing.assert_array_equal(
        read_constants(path)["a"], np.arange(6.0).reshape(2, 3)
    )
    rng = np.random.default_rng(0)
    for size in range(len(whole)):
        bad = bytearray(whole[: size or None])
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        try:
            read_constants(path)
        except ValueError as error:
            assert "graph.pb" in str(error) and len(str(error)) < 300
    with pytest.raises(FileNotFoundError):
        read_constants(tmp_path / "none.pb")
