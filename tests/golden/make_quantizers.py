"""What vector-quantize-pytorch answers for latents: `quantizers/io.npz`.

    pip install vector-quantize-pytorch==1.32.0
    python tests/golden/make_quantizers.py

For each quantizer: codes, quantized latents, the loss in training and the
gradients of `sum(output * direction) + loss`, of latents that are the same
for all.
"""

import pathlib

import numpy as np
import torch
from vector_quantize_pytorch import FSQ, LFQ, ResidualVQ, SimVQ, VectorQuantize
from vector_quantize_pytorch.vector_quantize_pytorch import directional_reparam

TARGET = pathlib.Path(__file__).parent / "quantizers" / "io.npz"
ROWS, CHANNELS, CODES = 24, 4, 9


def normal(seed, *shape):
    """Standard normal values, float32."""
    values = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(values, dtype=torch.float32)


def answers(name, quantize, **sources):
    """Arrays of one case, by names that begin with its own.

    Args:
        name: str.
        quantize: callable from latents (1, N, C) to the output, the codes and
            the loss or `None`.
        **sources: tensors beside the latents whose gradients are wanted.
    """
    z = normal(0, 1, ROWS, CHANNELS).requires_grad_()
    output, codes, loss = quantize(z)
    total = (output * normal(1, 1, ROWS, CHANNELS)).sum()
    if loss is not None:
        total = total + loss.sum()
    gradients = torch.autograd.grad(total, [z, *sources.values()])
    found = {
        "output": output[0],
        "codes": codes[0],
        "gradient": gradients[0][0],
    }
    if loss is not None:
        found["loss"] = loss.sum()
    for source, gradient in zip(sources, gradients[1:], strict=True):
        found[f"gradient_{source}"] = gradient
    arrays = {f"{name}_{k}": v.detach().numpy() for k, v in found.items()}
    arrays[f"{name}_codes"] = arrays[f"{name}_codes"].astype("int32")
    return arrays


def signs(spherical):
    """LFQ, or BSQ: on the unit sphere."""
    quantizer = LFQ(
        dim=CHANNELS,
        entropy_loss_weight=0.1,
        commitment_loss_weight=0.25,
        diversity_gamma=0.7,
        spherical=spherical,
    ).train()
    return lambda z: quantizer(z, inv_temperature=2.0)


def simvq(rotation_trick):
    """SimVQ with a table and a matrix that are given."""
    quantizer = SimVQ(CHANNELS, CODES, rotation_trick=rotation_trick).train()
    quantizer.frozen_codebook.copy_(normal(2, CODES, CHANNELS))
    matrix = quantizer.code_transform.weight
    matrix.data.copy_(normal(3, CHANNELS, CHANNELS))
    return quantizer, matrix


def diveq(z):
    """DiVeQ without noise, with a codebook that is given."""
    book = normal(2, CODES, CHANNELS)
    codes = torch.cdist(z, book[None]).argmin(-1)
    return directional_reparam(z, book[codes], 0.0), codes, None


def cosine():
    """A codebook of vectors of length 1, that is given."""
    quantizer = VectorQuantize(
        CHANNELS, CODES, use_cosine_sim=True, rotation_trick=False
    ).eval()
    book = normal(2, CODES, CHANNELS)
    quantizer._codebook.embed.copy_(torch.nn.functional.normalize(book)[None])
    return quantizer


def residual():
    """Three codebooks, that are given, one for each depth."""
    quantizer = ResidualVQ(
        dim=CHANNELS, num_quantizers=3, codebook_size=CODES
    ).eval()
    for depth, layer in enumerate(quantizer.layers):
        book = normal(4 + depth, CODES, CHANNELS) / 2**depth
        layer._codebook.embed.copy_(book[None])
        layer._codebook.initted.fill_(True)
    return quantizer


def main():
    """Writes the arrays."""
    z = normal(0, 1, ROWS, CHANNELS)
    arrays = {
        "z": z[0].numpy(),
        "direction": normal(1, ROWS, CHANNELS).numpy(),
        "codebook": normal(2, CODES, CHANNELS).numpy(),
        "matrix": normal(3, CHANNELS, CHANNELS).numpy(),
        "books": np.stack(
            [normal(4 + i, CODES, CHANNELS).numpy() / 2**i for i in range(3)]
        ),
    }
    fsq = FSQ([8, 5, 5, 3])
    arrays |= answers("fsq", lambda z: (*fsq(z), None))
    for name, spherical in (("lfq", False), ("bsq", True)):
        arrays |= answers(name, signs(spherical))
    for name, rotation_trick in (("simvq", False), ("simvq_rotation", True)):
        quantizer, matrix = simvq(rotation_trick)
        arrays |= answers(name, quantizer, matrix=matrix)
    arrays |= answers("diveq", diveq)
    with torch.no_grad():
        for name, quantizer in (("cosine", cosine()), ("rq", residual())):
            output, codes, *_ = quantizer(z)
            arrays[f"{name}_output"] = output[0].numpy()
            arrays[f"{name}_codes"] = codes[0].numpy().astype("int32")
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(TARGET, **arrays)


if __name__ == "__main__":
    main()
