"""Which keys the published VQGAN programs save, for any configuration.

A statement of its own, beside the converter's: names and shapes as the
programs' modules are nested, in torch's layouts.
"""

import numpy as np


def small_config(**encoder):
    """A TE-VQGAN configuration whose model is built in a moment."""
    return {
        "n_embed": 6,
        "embed_dim": 4,
        "ortho_reg_coef": 10.0,
        "distance_measure": "L2",
        "ddconfig": {
            "double_z": False,
            "z_channels": 5,
            "resolution": 16,
            "in_channels": 3,
            "out_ch": 3,
            "ch": 32,
            "ch_mult": [1, 2],
            "num_res_blocks": 1,
            "attn_resolutions": [],
            "dropout": 0.0,
            "downsampling_method": "strided_conv",
            "use_replicationpad": True,
            "version": "v2",
            **encoder,
        },
    }


def state_dict(config, seed=0):
    """Random arrays under every key that the program would save."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes(config).items():
        fan_in = max(1, int(np.prod(shape[1:])))
        array = rng.normal(size=shape) / np.sqrt(fan_in)
        arrays[name] = array.astype("float32")
        if name.endswith(".filt"):
            row = np.array([1, 4, 6, 4, 1], "float32") / 16
            arrays[name][:] = np.outer(row, row)
    return arrays


def shapes(config):
    options = config["ddconfig"]
    widths = [options["ch"] * m for m in options["ch_mult"]]
    levels, blocks = len(widths), options["num_res_blocks"]
    replicate = options.get("use_replicationpad", False)
    z, pixels = options["z_channels"], options["in_channels"]
    method = options.get("downsampling_method", "strided_conv")
    found = {}

    def conv(name, inputs, outputs, size):
        found[f"{name}.weight"] = (outputs, inputs, size, size)
        found[f"{name}.bias"] = (outputs,)

    def norm(name, width):
        found[f"{name}.weight"] = found[f"{name}.bias"] = (width,)

    def residual(name, inputs, outputs, inner):
        norm(f"{name}.norm1", inputs)
        conv(f"{name}.conv1{inner}", inputs, outputs, 3)
        norm(f"{name}.norm2", outputs)
        conv(f"{name}.conv2{inner}", outputs, outputs, 3)
        if inputs != outputs:
            conv(f"{name}.nin_shortcut", inputs, outputs, 1)

    def attention(name, width):
        norm(f"{name}.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            conv(f"{name}.{part}", width, width, 1)

    def level(name, index, inputs, count, inner):
        for i in range(count):
            residual(f"{name}.block.{i}", inputs, widths[index], inner)
            inputs = widths[index]
            size = options["resolution"] // 2**index
            if size in options["attn_resolutions"]:
                attention(f"{name}.attn.{i}", inputs)

    def middle(name, inner):
        residual(f"{name}.mid.block_1", widths[-1], widths[-1], inner)
        attention(f"{name}.mid.attn_1", widths[-1])
        residual(f"{name}.mid.block_2", widths[-1], widths[-1], inner)

    inner = ".1" if replicate else ""
    conv(f"encoder.conv_in{inner}", pixels, options["ch"], 3)
    for i, width in enumerate(widths):
        inputs = options["ch"] if i == 0 else widths[i - 1]
        level(f"encoder.down.{i}", i, inputs, blocks, inner)
        name = f"encoder.down.{i}.downsample"
        if i < levels - 1 and method == "strided_conv":
            conv(f"{name}.conv", width, width, 3)
        if i < levels - 1 and method == "convblurpool":
            conv(f"{name}.module.0", width, width, 3)
        if i < levels - 1 and method in ("convblurpool", "maxblurpool"):
            found[f"{name}.module.1.filt"] = (width, 1, 5, 5)
    middle("encoder", inner)
    norm("encoder.norm_out", widths[-1])
    conv(f"encoder.conv_out{inner}", widths[-1], z, 3)

    conv("decoder.conv_in", z, widths[-1], 3)
    middle("decoder", "")
    for i, width in enumerate(widths):
        inputs = widths[min(i + 1, levels - 1)]
        level(f"decoder.up.{i}", i, inputs, blocks + 1, "")
        if i > 0:
            conv(f"decoder.up.{i}.upsample.conv", width, width, 3)
    norm("decoder.norm_out", widths[0])
    conv("decoder.conv_out", widths[0], pixels, 3)

    codes, code_dim = config["n_embed"], config["embed_dim"]
    if config.get("kind") == "gumbel":
        conv("quantize.proj", z, codes, 1)
        found["quantize.embed.weight"] = (codes, code_dim)
        conv("quant_conv", z, z, 1)
    else:
        found["quantize.embedding.weight"] = (codes, code_dim)
        conv("quant_conv", z, code_dim, 1)
    conv("post_quant_conv", code_dim, z, 1)
    return found


def discriminator(num_layers, filters, channels=3, seed=0):
    """Random arrays under every key of the published discriminator."""
    rng = np.random.default_rng(seed)
    widths = [filters * min(2**i, 8) for i in range(num_layers + 1)]
    found = {}

    def add(name, *shape):
        found[f"loss.discriminator.main.{name}"] = rng.uniform(
            0.5, 1.0, shape
        ).astype("float32")

    add("0.weight", widths[0], channels, 4, 4)
    add("0.bias", widths[0])
    position = 2
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        add(f"{position}.weight", outputs, inputs, 4, 4)
        for part in ("weight", "bias", "running_mean", "running_var"):
            add(f"{position + 1}.{part}", outputs)
        add(f"{position + 1}.num_batches_tracked")
        position += 3
    add(f"{position}.weight", 1, widths[-1], 4, 4)
    add(f"{position}.bias", 1)
    return found
