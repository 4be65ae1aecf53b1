"""How the published program nests, names and pickles DALL-E's discrete VAE.

A statement of its own, beside the converter's, which writes the two files by
hand, so that tests need neither that program nor torch.
"""

import numpy as np
from pickles import (
    Global,
    Name,
    Object,
    Sourced,
    tensor,
    write_archive,
    write_legacy,
)

SIZES = {
    "n_hid": 8,
    "n_blk_per_group": 2,
    "group_count": 3,
    "input_channels": 3,
    "vocab_size": 10,
    "n_init": 6,
    "decoder_n_hid": 4,
    "decoder_n_blk_per_group": 1,
}


class Pickled:
    """Modules to be, and the arrays in them.

    Args:
        is_sourced: bool, whether classes come with their source, as in the
            format before torch 1.6.
        seed: int, for the arrays.
    """

    def __init__(self, is_sourced=False, seed=0):
        self.name = Sourced if is_sourced else Name
        self.rng = np.random.default_rng(seed)
        self.arrays = {}

    def module(self, package, name, modules=None, parameters=None, **others):
        state = {
            **others,
            "training": False,
            "_parameters": parameters or {},
            "_buffers": {},
            "_non_persistent_buffers_set": Global("__builtin__", "set", []),
            "_forward_hooks": Global("collections", "OrderedDict"),
            "_modules": modules or {},
        }
        return Object(self.name(package, name), state)

    def parameter(self, path, *shape):
        scale = np.sqrt(max(1, int(np.prod(shape[1:]))))
        array = (self.rng.normal(size=shape) / scale).astype("float32")
        key = str(len(self.arrays))
        self.arrays[path] = array
        strides = tuple(stride // 4 for stride in array.strides)
        made = tensor("FloatStorage", key, array.size, 0, shape, strides)
        hooks = Global("collections", "OrderedDict")
        return Global("torch._utils", "_rebuild_parameter", made, False, hooks)

    def conv(self, path, inputs, outputs, size):
        parameters = {
            "w": self.parameter(f"{path}.w", outputs, inputs, size, size),
            "b": self.parameter(f"{path}.b", outputs),
        }
        return self.module(
            *("dall_e.utils", "Conv2d"),
            parameters=parameters,
            device=Global("torch", "device", "cpu"),
            n_in=inputs,
            use_float16=True,
        )

    def sequential(self, modules):
        place = "torch.nn.modules.container"
        return self.module(place, "Sequential", modules)

    def plain(self, place, name):
        return self.module(f"torch.nn.modules.{place}", name)

    def block(self, path, kind, inputs, outputs, gain):
        sizes = (3, 3, 3, 1) if kind == "encoder" else (1, 3, 3, 3)
        hidden = outputs // 4
        widths = [inputs, hidden, hidden, hidden, outputs]
        res_path = {}
        for i, size in enumerate(sizes):
            name = f"conv_{i + 1}"
            res_path[f"relu_{i + 1}"] = self.plain("activation", "ReLU")
            res_path[name] = self.conv(
                f"{path}.res_path.{name}", widths[i], widths[i + 1], size
            )
        id_path = self.plain("linear", "Identity")
        if inputs != outputs:
            id_path = self.conv(f"{path}.id_path", inputs, outputs, 1)
        return self.module(
            f"dall_e.{kind}",
            f"{kind.title()}Block",
            {"id_path": id_path, "res_path": self.sequential(res_path)},
            post_gain=gain,
        )

    def half(self, kind, first, widths, blocks, last, size, gain=None):
        """An encoder or a decoder: three numbers of channels each."""
        gain = 1 / (len(widths) * blocks) ** 2 if gain is None else gain
        inputs = first[1]
        groups = {"input": self.conv("blocks.input", *first, size)}
        for i, width in enumerate(widths):
            members = {}
            for j in range(blocks):
                path = f"blocks.group_{i + 1}.block_{j + 1}"
                members[f"block_{j + 1}"] = self.block(
                    path, kind, inputs, width, gain
                )
                inputs = width
            if i < len(widths) - 1:
                members["pool"] = self.plain("pooling", "MaxPool2d")
            groups[f"group_{i + 1}"] = self.sequential(members)
        conv = self.conv("blocks.output.conv", inputs, last, 1)
        relu = self.plain("activation", "ReLU")
        groups["output"] = self.sequential({"relu": relu, "conv": conv})
        return self.module(
            f"dall_e.{kind}",
            kind.title(),
            {"blocks": self.sequential(groups)},
            use_mixed_precision=True,
        )


def encoder(pickled, sizes=SIZES, **kwargs):
    widths = [sizes["n_hid"] * 2**i for i in range(sizes["group_count"])]
    return pickled.half(
        "encoder",
        (sizes["input_channels"], sizes["n_hid"]),
        widths,
        sizes["n_blk_per_group"],
        sizes["vocab_size"],
        7,
        **kwargs,
    )


def decoder(pickled, sizes=SIZES, **kwargs):
    n_hid = sizes["decoder_n_hid"]
    widths = [n_hid * 2**i for i in range(sizes["group_count"])]
    return pickled.half(
        "decoder",
        (sizes["vocab_size"], sizes["n_init"]),
        widths[::-1],
        sizes["decoder_n_blk_per_group"],
        2 * sizes["input_channels"],
        1,
        **kwargs,
    )


def write(path, make, is_legacy=False, **kwargs):
    """Writes one file and returns its arrays by name.

    Args:
        path: `pathlib.Path`.
        make: callable of a `Pickled`, `encoder` or `decoder`.
        is_legacy: bool, for the format before torch 1.6.
        **kwargs: for `make`.
    """
    pickled = Pickled(is_legacy)
    content = make(pickled, **kwargs)
    data = [array.tobytes() for array in pickled.arrays.values()]
    if is_legacy:
        storages = {
            str(i): (array.size, array.tobytes())
            for i, array in enumerate(pickled.arrays.values())
        }
        write_legacy(path, content, storages)
    else:
        write_archive(path, content, {str(i): d for i, d in enumerate(data)})
    return pickled.arrays


def write_folder(folder, sizes=SIZES, is_legacy=False):
    """Writes both files; returns the arrays of each."""
    folder.mkdir(exist_ok=True)
    return [
        write(folder / f"{make.__name__}.pkl", make, is_legacy, sizes=sizes)
        for make in (encoder, decoder)
    ]
