"""Precision of a training's convolutions and matrix products: coarser ones are faster and change bits.

`float32` is the default. In every precision norms, activations, losses, penalties, weights and optimisers are float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmark.config.precision import Precision
from benchmark.core.errors import UserError


def check_precision(precision: Precision, device: str) -> None:
    """Check that `device` (cpu or cuda) computes in `precision`. Raises UserError."""
    if precision == "tf32":
        import torch

        if device != "cuda":
            raise UserError("precision tf32 is for a GPU; this runs on the CPU: take float32 or bfloat16")
        if torch.cuda.get_device_capability()[0] < 8:
            raise UserError(f"precision tf32: {torch.cuda.get_device_name()} has no TF32 units: take float32")
    if precision == "bfloat16":
        if device == "cuda":
            import torch

            if not torch.cuda.is_bf16_supported(including_emulation=False):
                raise UserError(
                    f"precision bfloat16: {torch.cuda.get_device_name()} has no bfloat16 units: take float32"
                )
        elif not cpu_has_bfloat16():
            raise UserError(
                "precision bfloat16: this CPU has no bfloat16 units (AVX512_BF16, AMX or ARM's BF16), and without "
                "them it is slower than float32, which to take"
            )


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions that multiply bfloat16."""
    import torch

    if not hasattr(torch.cpu, "get_capabilities"):  # before torch 2.12
        return bool(torch.cpu._is_avx512_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """Context in which networks compute in `precision`.

    On a GPU, TF32 is off in all others than `tf32`, and cuDNN does not choose kernels by timing them.
    """
    import torch

    backends: Any = torch.backends
    before = backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cudnn.benchmark
    backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = precision == "tf32"
    backends.cudnn.benchmark = False
    try:
        with _coarse_products() if precision == "bfloat16" else _unchanged():
            yield
    finally:
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cudnn.benchmark = before


@contextmanager
def _unchanged() -> Iterator[None]:
    yield


def _coarse_products() -> Any:
    """Mode in which products round their operands to bfloat16 and return float32.

    torch.autocast computes norms and losses in bfloat16 too, and fails for operands of two types; oneDNN's own setting
    for float32 operands is slower than float32.
    """
    import torch
    import torch.nn.functional as F
    from torch import Tensor
    from torch.overrides import TorchFunctionMode

    products = {
        torch.conv1d, torch.conv2d, torch.conv_transpose2d, F.conv1d, F.conv2d, F.conv_transpose2d,
        F.linear, F.bilinear, F.scaled_dot_product_attention,
        torch.matmul, torch.mm, torch.bmm, torch.einsum, torch.addmm, torch.baddbmm, torch.addbmm,
        Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__, Tensor.mm, Tensor.bmm,
        Tensor.addmm, Tensor.baddbmm, Tensor.addbmm,
    }  # fmt: skip

    planar = {torch.conv2d, F.conv2d, torch.conv_transpose2d, F.conv_transpose2d}

    def is_unsafe(func: Callable[..., Any], args: Sequence[Any]) -> bool:
        """Whether oneDNN 3.13 may give noise: its AMX code does for 8 x 8 kernels of 8 or 12 channels."""
        if func not in planar or args[0].is_cuda:
            return False
        _, channels, height, width = args[1].shape
        return bool(height == width == 8 and channels < 16)

    def rounded(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.bfloat16() if value.dtype == torch.float32 else value
        return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value

    class Coarse(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., Any],
            types: Sequence[type],
            args: Sequence[Any] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            options = kwargs or {}
            if func not in products or is_unsafe(func, args):
                return func(*args, **options)
            product = func(*map(rounded, args), **{name: rounded(value) for name, value in options.items()})
            return product.float() if product.dtype == torch.bfloat16 else product

    return Coarse()
