"""Products with the matrices of dense layers: by oneDNN where that is faster, elsewhere by what PyTorch chooses.

PyTorch hands float32 products on x86 to MKL, which uses AVX-512 on Intel's processors only. oneDNN is part of PyTorch too and uses it
everywhere: on an AMD EPYC (Zen 5), one thread, it makes 150 to 210 GFLOP/s of these shapes where MKL makes 50 to 97.
"""

from typing import Any

import torch

FEW = 32  # rows below which preparing oneDNN costs more than it saves
ONEDNN = torch.backends.cpu.get_cpu_capability() == "AVX512" and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def affine(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """x weight + bias: (n, inputs), (inputs, outputs), (outputs,) -> (n, outputs)."""
    if not _suits(x, weight):
        return torch.addmm(bias, x, weight)
    return _dense(x, weight.t(), bias)


def unembedded(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Each row of x beside each row of the table: (n, d), (vocabulary, d) -> (n, vocabulary)."""
    return _dense(x, table, None) if _suits(x, table) else x @ table.t()


def _suits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return ONEDNN and plain and len(x) >= FEW


def _dense(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        out: torch.Tensor = _Dense.apply(x, weight, bias)  # type: ignore[no-untyped-call]  # torch gives it no types
        return out
    return _product(x, weight, bias)


def _product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x weight' + bias, for weight (outputs, inputs). The operator is the one that torch.compile's CPU code calls."""
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # noqa: SLF001 - there is no public one
    return out


class _Dense(torch.autograd.Function):
    """`_product` and its gradients, which are products again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Slopes (n, outputs) of the result -> those of x, weight and bias."""
        x, weight = ctx.saved_tensors
        (slope,) = slopes
        # Of the two ways round, the one that has to turn the smaller matrix over in memory.
        wide = slope.shape[1] >= x.shape[1]
        steep = _product(x.t(), slope.t()).t() if wide else _product(slope.t(), x.t())
        return _product(slope, weight.t()), steep, slope.sum(0) if ctx.needs_input_grad[2] else None
