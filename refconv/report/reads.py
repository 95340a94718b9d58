"""Which elements of each operand one element of a result is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.spec import Case, Sizes

__all__ = ["reads"]

# On each axis every product joins an input position i, a tap t and an output position o with i = o s - p + t d:
# what the axes of each array run over.
_CONV = {"input": "i", "grad_input": "i", "weight": "t", "grad_weight": "t", "output": "o", "grad_output": "o"}
_TRANSPOSED = {"input": "o", "weight": "t", "output": "i"}
_POOL = {"input": "i", "grad_input": "i", "output": "o", "grad_output": "o"}
_SIGNAL = {"in1": "i", "in2": "t", "output": "o"}

Axis = list[dict[str, int]]


def reads(case: Case, result: str, index: Sizes) -> dict[str, NDArray[np.bool_]]:
    """For each operand, True at the elements that element `index` of `result` is computed from.

    >>> from refconv.spec import OPERATIONS
    >>> x, w = np.ones((1, 1, 5)), np.ones((1, 1, 3))
    >>> case = Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {"stride": 2, "padding": 1}, "float64")
    >>> reads(case, "output", (0, 0, 0))["input"]
    array([[[ True,  True, False, False, False]]])
    """
    kind = case.operation.kind
    read = {name: np.zeros(a.shape, dtype=bool) for name, a in case.operands.items()}
    if result == "grad_bias":
        read["grad_output"][:, index[0]] = True
        return read
    roles = _SIGNAL if case.operation.rank == 0 else _POOL if "pool" in kind else _CONV
    roles = _TRANSPOSED if kind == "conv_transpose" else roles
    lead = 2 if case.operation.rank else 0
    role, axes = roles[result], _axes(case, roles, lead)
    met = [[m for m in axis if m[role] == at] for axis, at in zip(axes, index[lead:], strict=True)]
    leading = _leading(case, role, index[:lead]) if lead else dict.fromkeys("ito", ())
    for name in read:
        if name != "bias" and roles[name] != role:
            read[name][np.ix_(*leading[roles[name]], *_places(met, roles[name]))] = True
    if kind == "max_pool_backward":  # what the gradients that may come here were maxima of
        windows = [[m for m in axis if m["o"] in {k["o"] for k in some}] for axis, some in zip(axes, met, strict=True)]
        read["input"][np.ix_(*leading["i"], *_places(windows, "i"))] = True
    if "bias" in read:
        read["bias"][index[1]] = True
    return read


def _places(axes: Sequence[Axis], role: str) -> list[list[int]]:
    return [sorted({m[role] for m in axis}) for axis in axes]


def _axes(case: Case, roles: dict[str, str], lead: int) -> list[Axis]:
    """For each axis, which positions of input, tap and output meet in a product."""
    shapes = {name: a.shape for name, a in case.operands.items()} | case.shapes
    sizes = {role: shapes[name][lead:] for name, role in roles.items() if name in shapes}
    if lead == 0:
        steps: Iterable[Any] = _signal_steps(case, sizes)
    else:
        spec: Any = case.pool if "pool" in case.operation.kind else case.conv
        sizes |= {"t": spec.kernel_size, "o": spec.output_size(sizes["i"])} if "pool" in case.operation.kind else {}
        steps = zip(spec.stride, [before for before, _ in spec.padding], spec.dilation, strict=True)
    return [
        [{"i": i, "t": t, "o": o} for o in range(n_o) for t in range(n_t) if 0 <= (i := o * s - p + t * d) < n_i]
        for (s, p, d), n_i, n_t, n_o in zip(steps, sizes["i"], sizes["t"], sizes["o"], strict=True)
    ]


def _signal_steps(case: Case, sizes: dict[str, Sizes]) -> list[tuple[int, int, int]]:
    """The full result of a convolution is i = o - t, of a correlation i = o - (m - 1) + t; a mode starts later."""
    out = []
    for n, m in zip(sizes["i"], sizes["t"], strict=True):
        start = {"full": 0, "same": (m - 1) // 2, "valid": min(n, m) - 1}[case.settings["mode"]]
        out.append((1, -start, -1) if case.operation.kind == "convolve" else (1, m - 1 - start, 1))
    return out


def _leading(case: Case, role: str, index: Sizes) -> dict[str, tuple[Sequence[int], Sequence[int]]]:
    """The images and channels of each role: (N, C), (O, C / groups) of a kernel, (N, O)."""
    if "pool" in case.operation.kind:
        return {r: ([index[0]], [index[1]]) for r in "io"}
    groups, weight = case.conv.groups, case.operands["weight"].shape
    outs, ins = weight[0] // groups, weight[1]  # of one group
    first, second = index  # (image, channel), or (kernel, channel within its group)
    group = second // ins if role == "i" else (second if role == "o" else first) // outs
    kernels, channels = range(group * outs, (group + 1) * outs), range(group * ins, (group + 1) * ins)
    if role == "i":
        return {"i": ([first], [second]), "t": (kernels, [second - channels[0]]), "o": ([first], kernels)}
    if role == "o":
        return {"i": ([first], channels), "t": ([second], range(ins)), "o": ([first], [second])}
    images = range(len(case.operands["input"]))
    return {"i": (images, [channels[second]]), "t": ([first], [second]), "o": (images, [first])}
