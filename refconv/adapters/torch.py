"""PyTorch's functional operations, gradients by its own automatic differentiation."""

from __future__ import annotations

from refconv.spec import OPERATIONS
from refconv.subject import Subject


def subject() -> Subject:
    """conv, transposed conv, max and average pooling in one to three dimensions."""
    import torch.nn.functional

    functions = {name: f for name in OPERATIONS if (f := getattr(torch.nn.functional, name, None)) is not None}
    return Subject("torch", functions, array="torch")
