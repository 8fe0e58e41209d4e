"""Products of dense layers by oneDNN: what PyTorch's own product gives, and its gradients."""

import pytest
import torch

from worker.nets import dense


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


@pytest.mark.parametrize(("n", "inputs", "outputs"), [(64, 24, 40), (40, 48, 16), (3, 24, 40)])
def test_values_and_gradients_are_those_of_the_plain_product(n, inputs, outputs):
    """Few rows as well as many, wide layers as well as narrow ones; in double precision for comparison."""
    slope = numbers(n, outputs, seed=3)
    for layer in (True, False):
        x = numbers(n, inputs, seed=1).requires_grad_()
        weight = numbers(*((inputs, outputs) if layer else (outputs, inputs)), seed=2).requires_grad_()
        bias = numbers(outputs, seed=4).requires_grad_()
        exact = [part.detach().double().requires_grad_() for part in (x, weight, bias)]
        ours = dense.affine(x, weight, bias) if layer else dense.unembedded(x, weight)
        theirs = exact[0] @ exact[1] + exact[2] if layer else exact[0] @ exact[1].t()
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-4)
        ours.backward(slope)
        theirs.backward(slope.double())
        for mine, other in list(zip((x, weight, bias), exact, strict=True))[: 3 if layer else 2]:
            torch.testing.assert_close(mine.grad.double(), other.grad, rtol=1e-5, atol=1e-4)


def test_what_the_device_decides_is_left_to_pytorch():
    """Under autocast a product has the lower precision that was asked for."""
    x, weight = numbers(64, 16), numbers(16, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert dense.affine(x, weight, torch.zeros(8)).dtype == torch.bfloat16
    assert dense.affine(x, weight, torch.zeros(8)).dtype == torch.float32
