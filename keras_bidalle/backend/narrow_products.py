"""Products with weights of 8 bits, by the kernels that torch has for CPUs."""

import warnings
from collections.abc import Callable
from typing import Any

# What kernels for x86 are called in torch, the fastest for few rows first.
_ENGINES = ("fbgemm", "x86")


def narrow_product(kernel: Any, scale: Any) -> Callable | None:
    """A function that multiplies rows by weights of 8 bits.

    Each row is brought to 8 bits by its own largest value, as the int8 layers
    of Keras do it, so that it depends on no other row.

    Args:
        kernel: int8 torch tensor (K, N).
        scale: float torch tensor (N,); weights are kernel / scale.

    Returns:
        Function of a float tensor (..., K) to (..., N) of its dtype, or `None`
        where torch has no kernels for the device.
    """
    import torch

    engines = torch.backends.quantized.supported_engines
    engine = next((name for name in _ENGINES if name in engines), None)
    # To be removed from torch one day, as it warns.
    make = getattr(torch, "_make_per_channel_quantized_tensor", None)
    if engine is None or make is None or kernel.device.type != "cpu":
        return None
    zeros = torch.zeros(kernel.shape[1], dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*deprecated.*", UserWarning)
        weights = make(kernel.T.contiguous(), 1.0 / scale.double(), zeros, 0)
    packed = _packed(weights, engine)
    # Without instructions for it, sums of two products of 8 bits and 8 would
    # not fit into 16.
    levels = 127 if torch.cpu._is_vnni_supported() else 63
    product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32

    def multiply(x):
        # The kernels take float32 alone.
        rows = x.float()
        greatest = rows.abs().amax(dim=-1, keepdim=True).clamp(min=1e-30)
        y = product(rows / greatest, 1.0 / levels, levels + 1, packed)
        return (y * greatest).to(x.dtype)

    return multiply


def _packed(weights, engine):
    import torch

    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        return torch.ops.quantized.linear_prepack(weights, None)
    finally:
        torch.backends.quantized.engine = before
