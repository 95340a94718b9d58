"""Convolution as an implicit matrix product in Triton, forward and back: no patch is ever written to memory.

Each of the three results is a product of an M x K and a K x N matrix, of which at least one is never stored: its
elements are gathered from an image, one by one, where they are multiplied. Sums are carried in float32.

| result | rows M | columns N | summed over K |
| --- | --- | --- | --- |
| output | pixels of all outputs | out channels of a group | in channels of a group, taps |
| grad_input | pixels of all inputs | in channels of a group | out channels of a group, taps |
| grad_weight | out channels of a group | in channels of a group, taps | pixels of all outputs |
"""

import torch
import triton
import triton.language as tl

BLOCK = 32  # rows, columns and summands that one program holds
# One program for all values of these: else each that is 1, or a multiple of 16, makes another.
NUMBERS = ["N", "C", "H", "W", "F", "P", "Q", "G", "KH", "KW", "SH", "SW", "PH", "PW", "DH", "DW"]


@triton.jit
def _inside(h, w, H, W):
    return (h >= 0) & (h < H) & (w >= 0) & (w < W)


@triton.jit(do_not_specialize=NUMBERS)
def _forward(
    x, weight, bias, out, N, C, H, W, F, P, Q, G, KH, KW, SH, SW, PH, PW, DH, DW, BIAS: tl.constexpr, B: tl.constexpr
):
    g, cg, og = tl.program_id(2), C // G, F // G
    m = tl.program_id(0) * B + tl.arange(0, B)
    o = tl.program_id(1) * B + tl.arange(0, B)
    n, p, q = m // (P * Q), m // Q % P, m % Q
    rows, columns = m < N * P * Q, o < og
    total = tl.zeros((B, B), tl.float32)
    for start in range(0, cg * KH * KW, B):
        k = start + tl.arange(0, B)
        c, i, j, real = k // (KH * KW), k // KW % KH, k % KW, k < cg * KH * KW
        h = p[:, None] * SH - PH + i[None, :] * DH
        w = q[:, None] * SW - PW + j[None, :] * DW
        at = ((n[:, None] * C + g * cg + c[None, :]) * H + h) * W + w
        a = tl.load(x + at, mask=rows[:, None] & real[None, :] & _inside(h, w, H, W), other=0.0)
        at = (g * og + o[None, :]) * cg * KH * KW + k[:, None]
        b = tl.load(weight + at, mask=real[:, None] & columns[None, :], other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee")
    if BIAS:
        total += tl.load(bias + g * og + o, mask=columns, other=0.0).to(tl.float32)[None, :]
    at = ((n[:, None] * F + g * og + o[None, :]) * P + p[:, None]) * Q + q[:, None]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=rows[:, None] & columns[None, :])


@triton.jit(do_not_specialize=NUMBERS)
def _to_input(grad, weight, out, N, C, H, W, F, P, Q, G, KH, KW, SH, SW, PH, PW, DH, DW, B: tl.constexpr):
    g, cg, og = tl.program_id(2), C // G, F // G
    m = tl.program_id(0) * B + tl.arange(0, B)
    c = tl.program_id(1) * B + tl.arange(0, B)
    n, h, w = m // (H * W), m // W % H, m % W
    rows, columns = m < N * H * W, c < cg
    total = tl.zeros((B, B), tl.float32)
    for start in range(0, og * KH * KW, B):
        k = start + tl.arange(0, B)
        o, i, j, real = k // (KH * KW), k // KW % KH, k % KW, k < og * KH * KW
        up = h[:, None] + PH - i[None, :] * DH  # P * SH, if a window starts so that its tap i reads h
        left = w[:, None] + PW - j[None, :] * DW
        p, q = up // SH, left // SW
        meets = (up >= 0) & (left >= 0) & (p * SH == up) & (q * SW == left) & (p < P) & (q < Q)
        at = ((n[:, None] * F + g * og + o[None, :]) * P + p) * Q + q
        a = tl.load(grad + at, mask=rows[:, None] & real[None, :] & meets, other=0.0)
        at = ((g * og + o[:, None]) * cg + c[None, :]) * KH * KW + (i * KW + j)[:, None]
        b = tl.load(weight + at, mask=real[:, None] & columns[None, :], other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee")
    at = ((n[:, None] * C + g * cg + c[None, :]) * H + h[:, None]) * W + w[:, None]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=rows[:, None] & columns[None, :])


@triton.jit(do_not_specialize=NUMBERS)
def _to_weight(grad, x, out, N, C, H, W, F, P, Q, G, KH, KW, SH, SW, PH, PW, DH, DW, B: tl.constexpr):
    g, cg, og = tl.program_id(2), C // G, F // G
    o = tl.program_id(0) * B + tl.arange(0, B)
    t = tl.program_id(1) * B + tl.arange(0, B)
    c, i, j = t // (KH * KW), t // KW % KH, t % KW
    rows, columns = o < og, t < cg * KH * KW
    total = tl.zeros((B, B), tl.float32)
    for start in range(0, N * P * Q, B):
        k = start + tl.arange(0, B)
        n, p, q, real = k // (P * Q), k // Q % P, k % Q, k < N * P * Q
        at = ((n[None, :] * F + g * og + o[:, None]) * P + p[None, :]) * Q + q[None, :]
        a = tl.load(grad + at, mask=rows[:, None] & real[None, :], other=0.0)
        h = p[:, None] * SH - PH + i[None, :] * DH
        w = q[:, None] * SW - PW + j[None, :] * DW
        at = ((n[:, None] * C + g * cg + c[None, :]) * H + h) * W + w
        b = tl.load(x + at, mask=real[:, None] & columns[None, :] & _inside(h, w, H, W), other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee")
    at = (g * og + o[:, None]) * cg * KH * KW + t[None, :]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=rows[:, None] & columns[None, :])


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _geometry(x, weight, stride, padding, dilation, groups):
    """The numbers that all kernels take, in their order, once the call is one that can be made."""
    if x.dtype not in (torch.float32, torch.float16) or weight.dtype != x.dtype:
        raise NotImplementedError(f"float32 and float16 only, not {x.dtype} and {weight.dtype}")
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(f"input and weight must have 4 axes, not {x.ndim} and {weight.ndim}")
    (N, C, H, W), (F, cg, KH, KW) = x.shape, weight.shape
    if groups < 1 or cg * groups != C or F % groups or min(KH, KW) < 1:
        raise ValueError(f"groups={groups} and weight {tuple(weight.shape)} do not fit {C} input channels")
    (SH, SW), (DH, DW) = _pair(stride), _pair(dilation)
    if min(SH, SW, DH, DW) < 1:
        raise ValueError("stride and dilation must be positive")
    if padding == "same":
        if (SH, SW) != (1, 1):
            raise ValueError("padding='same' needs a stride of 1")
        if DH * (KH - 1) % 2 or DW * (KW - 1) % 2:
            raise NotImplementedError("padding that is not the same on both sides")
        padding = DH * (KH - 1) // 2, DW * (KW - 1) // 2
    PH, PW = _pair(0 if padding == "valid" else padding)
    if min(PH, PW) < 0:
        raise ValueError("padding must not be negative")
    P, Q = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1, (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    if min(P, Q) < 1:
        raise ValueError("the kernel is larger than the padded input")
    return N, C, H, W, F, P, Q, groups, KH, KW, SH, SW, PH, PW, DH, DW


def _run(kernel, rows, columns, groups, *arguments, **more):
    if rows and columns:
        kernel[triton.cdiv(rows, BLOCK), triton.cdiv(columns, BLOCK), groups](*arguments, B=BLOCK, **more)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """As `torch.nn.functional.conv2d`."""
    numbers = N, _, _, _, F, P, Q, *_ = _geometry(input, weight, stride, padding, dilation, groups)
    if bias is not None and bias.shape != (F,):
        raise ValueError(f"bias must have shape {(F,)}, not {tuple(bias.shape)}")
    x, weight, out = input.contiguous(), weight.contiguous(), input.new_empty((N, F, P, Q))
    held = x if bias is None else bias.contiguous()
    _run(_forward, N * P * Q, F // groups, groups, x, weight, held, out, *numbers, BIAS=bias is not None)
    return out


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    """The gradients of input, weight and bias."""
    numbers = N, C, H, W, F, P, Q, _, KH, KW, *_ = _geometry(input, weight, stride, padding, dilation, groups)
    if grad_output.shape != (N, F, P, Q) or grad_output.dtype != input.dtype:
        raise ValueError(f"grad_output must have shape {(N, F, P, Q)}, not {tuple(grad_output.shape)}")
    grad, x, weight = grad_output.contiguous(), input.contiguous(), weight.contiguous()
    to_x, to_weight = torch.empty_like(x), torch.empty_like(weight)
    _run(_to_input, N * H * W, C // groups, groups, grad, weight, to_x, *numbers)
    _run(_to_weight, F // groups, C // groups * KH * KW, groups, grad, x, to_weight, *numbers)
    return to_x, to_weight, grad.sum((0, 2, 3))


conv2d.refconv = conv2d_backward.refconv = {"array": "torch"}
