"""A correct, compact implementation of every operation, for the mutants to break. It shares no code with refconv.

A convolution is `finish(contract(unfold(...), weight, groups), bias, dtype)`: windows, products, one rounding.
float16 and bfloat16 are computed in float32; float32 is summed in float32. The number of axes follows the operands.
"""

import itertools

import numpy as np

quiet = np.errstate(all="ignore")


def wide(dtype):
    """The dtype in which sums are kept."""
    return np.dtype(np.float32) if np.dtype(dtype).itemsize == 2 else np.dtype(dtype)


def per_axis(value, rank, name="value", least=1):
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(values) != rank or any(v < least for v in values):
        raise ValueError(f"{name} is {value!r}, but must be {rank} integers of at least {least}")
    return values


def pairs(padding, rank, kernel=None, dilation=1, stride=1):
    """The padding as (before, after) for each axis; "same" puts the odd cell after."""
    if padding == "valid":
        return ((0, 0),) * rank
    if padding == "same":
        if any(s != 1 for s in per_axis(stride, rank)):
            raise ValueError(f"padding is 'same', but stride is {stride!r}")
        totals = [d * (k - 1) for d, k in zip(per_axis(dilation, rank), kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    if isinstance(padding, str):
        raise ValueError(f"padding is {padding!r}")
    if isinstance(padding, (tuple, list)) and any(isinstance(p, (tuple, list)) for p in padding):
        if len(padding) != rank:
            raise ValueError(f"padding is {padding!r}, but must have {rank} pairs")
        return tuple(per_axis(p, 2, "padding", 0) for p in padding)
    return tuple((p, p) for p in per_axis(padding, rank, "padding", 0))


def extents(kernel, dilation):
    return tuple(d * (k - 1) + 1 for d, k in zip(per_axis(dilation, len(kernel), "dilation"), kernel, strict=True))


def pad(array, borders, fill=0):
    """Puts a border of `fill` around the spatial axes."""
    return np.pad(array, ((0, 0), (0, 0), *borders), constant_values=fill)


def windows(padded, kernel, stride, dilation):
    """A view: batch, channel, output axes, kernel axes."""
    rank = len(kernel)
    strides, dilations = per_axis(stride, rank, "stride"), per_axis(dilation, rank, "dilation")
    rooms = [n - e for n, e in zip(padded.shape[2:], extents(kernel, dilations), strict=True)]
    if min(rooms) < 0:
        raise ValueError(f"the kernel {kernel} is larger than the padded input {padded.shape[2:]}")
    counts = [room // s + 1 for room, s in zip(rooms, strides, strict=True)]
    steps = padded.strides[2:]
    return np.lib.stride_tricks.as_strided(
        padded,
        (*padded.shape[:2], *counts, *kernel),
        (*padded.strides[:2], *np.multiply(steps, strides), *np.multiply(steps, dilations)),
        writeable=False,
    )


def unfold(input, kernel, stride=1, padding=0, dilation=1):
    """Every window of the zero-padded input, in the wider dtype."""
    rank = len(kernel)
    if input.ndim != rank + 2:
        raise ValueError(f"the input has {input.ndim} axes, but the kernel has {rank}")
    borders = pairs(padding, rank, kernel, dilation, stride)
    return windows(pad(input.astype(wide(input.dtype)), borders), kernel, stride, dilation)


def split(channels, groups):
    """The slice of channels that belongs to each group."""
    if groups < 1 or channels % groups:
        raise ValueError(f"{channels} channels do not divide into {groups} groups")
    size = channels // groups
    return [slice(g * size, (g + 1) * size) for g in range(groups)]


def contract(wins, weight, groups=1):
    """Sums window times weight over the channels of a group and the kernel."""
    rank = weight.ndim - 2
    inputs, outputs = split(wins.shape[1], groups), split(weight.shape[0], groups)
    if wins.shape[1] != weight.shape[1] * groups:
        raise ValueError(f"the input has {wins.shape[1]} channels, but the weight {weight.shape[1]} x {groups}")
    weight = weight.astype(wins.dtype)
    taps = [1, *range(2 + rank, 2 + 2 * rank)]
    out = np.zeros((wins.shape[0], weight.shape[0], *wins.shape[2 : 2 + rank]), wins.dtype)
    for i, o in zip(inputs, outputs, strict=True):
        product = np.tensordot(wins[:, i], weight[o], (taps, [1, *range(2, 2 + rank)]))
        out[:, o] = np.moveaxis(product, -1, 1)
    return out


def products(wins, weight, groups=1):
    """The terms of the sum one by one, channel by channel and tap by tap, each for every output."""
    rank, batch = weight.ndim - 2, wins.shape[0]
    split(wins.shape[1], groups), split(weight.shape[0], groups)
    if wins.shape[1] != weight.shape[1] * groups:
        raise ValueError(f"the input has {wins.shape[1]} channels, but the weight {weight.shape[1]} x {groups}")
    size = wins.shape[2 : 2 + rank]
    parts = wins.reshape(batch, groups, 1, weight.shape[1], *wins.shape[2:])
    factors = weight.astype(wins.dtype).reshape(1, groups, len(weight) // groups, *weight.shape[1:])
    for at in itertools.product(*map(range, weight.shape[1:])):
        left = parts[(slice(None), slice(None), slice(None), at[0], ..., *at[1:])]
        right = factors[(..., *at)]
        yield (left * right.reshape(*right.shape, *(1,) * rank)).reshape(batch, weight.shape[0], *size)


def to_tf32(array, truncate=False):
    """float32 with its last 13 bits rounded (or cut) off; other dtypes as they are."""
    if array.dtype != np.float32:
        return array
    bits = array.view(np.uint32) if array.flags.c_contiguous else np.ascontiguousarray(array).view(np.uint32)
    if not truncate:
        bits = bits + 0xFFF + (bits >> 13 & 1)
    return (bits & np.uint32(0xFFFFE000)).astype(np.uint32).view(np.float32)


def finish(out, bias, dtype):
    """Adds the bias and rounds once."""
    if bias is not None:
        if bias.shape != (out.shape[1],):
            raise ValueError(f"the bias has shape {bias.shape}, but there are {out.shape[1]} output channels")
        out = out + along_channels(bias.astype(out.dtype), out)
    return out.astype(dtype)


def along_channels(vector, out):
    return vector.reshape(-1, *(1,) * (out.ndim - 2))


@quiet
def conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = unfold(input, weight.shape[2:], stride, padding, dilation)
    return finish(contract(wins, weight, groups), bias, input.dtype)


def tap_slices(tap, dilation, stride, counts):
    """Where one tap of the kernel meets the padded image, over all output positions."""
    starts = [t * d for t, d in zip(tap, dilation, strict=True)]
    return tuple(slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, counts, stride, strict=True))


def scatter(canvas, grad, weight, stride, dilation, groups=1):
    """Adds grad times weight to where every tap came from; the weight has the channels of `grad` first."""
    rank = weight.ndim - 2
    strides, dilations = per_axis(stride, rank, "stride"), per_axis(dilation, rank, "dilation")
    inputs, outputs = split(grad.shape[1], groups), split(canvas.shape[1], groups)
    for tap in itertools.product(*map(range, weight.shape[2:])):
        place = tap_slices(tap, dilations, strides, grad.shape[2:])
        for i, o in zip(inputs, outputs, strict=True):
            part = np.tensordot(grad[:, i], weight[(i, slice(None), *tap)], ([1], [0]))
            canvas[(slice(None), o, *place)] += np.moveaxis(part, -1, 1)
    return canvas


def crop(canvas, borders, size):
    return canvas[(..., *(slice(a, a + n) for (a, _), n in zip(borders, size, strict=True)))]


def transposed_size(size, kernel, stride, borders, output_padding, dilation):
    rank = len(kernel)
    strides, dilations = per_axis(stride, rank, "stride"), per_axis(dilation, rank, "dilation")
    extra = per_axis(output_padding, rank, "output_padding", 0)
    if any(o >= max(s, d) for o, s, d in zip(extra, strides, dilations, strict=True)):
        raise ValueError(f"output_padding is {output_padding!r}, but must be smaller than stride or dilation")
    spans = zip(size, strides, borders, extents(kernel, dilations), extra, strict=True)
    out = tuple((n - 1) * s - sum(p) + e + o for n, s, p, e, o in spans)
    if min(out) < 1:
        raise ValueError(f"the output would have size {out}")
    return out


@quiet
def conv_transpose(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    kernel = weight.shape[2:]
    if input.ndim != weight.ndim or input.shape[1] != weight.shape[0]:
        raise ValueError(f"the input {input.shape} does not fit the weight {weight.shape}")
    borders = pairs(padding, len(kernel))
    size = transposed_size(input.shape[2:], kernel, stride, borders, output_padding, dilation)
    room = tuple(n + a + b for n, (a, b) in zip(size, borders, strict=True))
    dtype = wide(input.dtype)
    canvas = np.zeros((input.shape[0], weight.shape[1] * groups, *room), dtype)
    scatter(canvas, input.astype(dtype), weight.astype(dtype), stride, dilation, groups)
    return finish(crop(canvas, borders, size), bias, input.dtype)


@quiet
def grad_input(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    borders = pairs(padding, weight.ndim - 2, weight.shape[2:], dilation, stride)
    dtype = wide(input.dtype)
    canvas = pad(np.zeros(input.shape, dtype), borders)
    scatter(canvas, grad_output.astype(dtype), weight.astype(dtype), stride, dilation, groups)
    return crop(canvas, borders, input.shape[2:]).astype(input.dtype)


@quiet
def grad_weight(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    rank = weight.ndim - 2
    wins, grad = unfold(input, weight.shape[2:], stride, padding, dilation), grad_output.astype(wide(input.dtype))
    places = [0, *range(2, 2 + rank)]
    parts = [
        np.tensordot(grad[:, o], wins[:, i], (places, places))
        for i, o in zip(split(input.shape[1], groups), split(weight.shape[0], groups), strict=True)
    ]
    return np.concatenate(parts).astype(input.dtype)


@quiet
def grad_bias(grad_output):
    return grad_output.astype(wide(grad_output.dtype)).sum((0, *range(2, grad_output.ndim))).astype(grad_output.dtype)


def conv_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    rank = weight.ndim - 2
    wins = unfold(input, weight.shape[2:], stride, padding, dilation)
    if input.shape[1] != weight.shape[1] * groups:
        raise ValueError(f"the input has {input.shape[1]} channels, but the weight {weight.shape[1]} x {groups}")
    if grad_output.shape != (input.shape[0], weight.shape[0], *wins.shape[2 : 2 + rank]):
        raise ValueError(f"grad_output has shape {grad_output.shape}")
    arguments = (grad_output, input, weight, stride, padding, dilation, groups)
    return grad_input(*arguments), grad_weight(*arguments), grad_bias(grad_output)


def pool_geometry(size, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Kernel, stride, dilation, number of windows, and the border that makes every window fit."""
    rank = len(size)
    kernel = per_axis(kernel_size, rank, "kernel_size")
    strides = kernel if stride is None else per_axis(stride, rank, "stride")
    dilations = per_axis(dilation, rank, "dilation")
    counts, borders = [], []
    for n, k, s, (a, b), e in zip(size, kernel, strides, pairs(padding, rank), extents(kernel, dilations), strict=True):
        if max(a, b) > k // 2:
            raise ValueError(f"padding is {padding!r}, but must be at most half of kernel_size {kernel_size!r}")
        room = n + a + b - e
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= n + a:
            count -= 1
        if count < 1:
            raise ValueError(f"no window of {kernel_size!r} fits into {size}")
        counts.append(count)
        borders.append((a, max(0, (count - 1) * s + e - n - a)))
    return kernel, strides, dilations, tuple(counts), tuple(borders)


@quiet
def max_pool(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, fill=-np.inf):
    size = input.shape[2:]
    kernel, strides, dilations, _, borders = pool_geometry(size, kernel_size, stride, padding, dilation, ceil_mode)
    wins = windows(pad(input.astype(wide(input.dtype)), borders, fill), kernel, strides, dilations)
    return wins.max(tuple(range(2 + len(size), wins.ndim))).astype(input.dtype)


def winners(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """For every window the flat index of its first maximum in the image (of its last NaN, if it has any)."""
    size = input.shape[2:]
    kernel, strides, dilations, counts, borders = pool_geometry(size, kernel_size, stride, padding, dilation, ceil_mode)
    image = pad(input.astype(wide(input.dtype)), borders, -np.inf)
    number = pad(np.arange(np.prod(size, dtype=int)).reshape(1, 1, *size), borders, -1)
    best, index = np.full((*input.shape[:2], *counts), -np.inf, image.dtype), np.full((1, 1, *counts), -1)
    for tap in itertools.product(*map(range, kernel)):
        place = (..., *tap_slices(tap, dilations, strides, counts))
        value, here = image[place], number[place]
        better = (here >= 0) & ((index < 0) | (value > best) | np.isnan(value))
        best, index = np.where(better, value, best), np.where(better, here, index)
    return index


@quiet
def max_pool_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    index = winners(input, kernel_size, stride, padding, dilation, ceil_mode)
    if grad_output.shape != index.shape:
        raise ValueError(f"grad_output has shape {grad_output.shape}, but must have {index.shape}")
    planes = input.shape[0] * input.shape[1]
    out = np.zeros((planes, int(np.prod(input.shape[2:]))), wide(input.dtype))
    if planes:
        rows = np.arange(planes)[:, None]
        index, grad = index.reshape(planes, -1), grad_output.reshape(planes, -1).astype(out.dtype)
        np.add.at(out, (rows, index), np.where(index < 0, 0, grad))
    return out.reshape(input.shape).astype(input.dtype)


def divisors(size, kernel, stride, padding, counts, count_include_pad=True):
    """How many cells each window averages over."""
    out = np.ones((), int)
    for n, k, s, (a, b), count in zip(size, kernel, stride, pairs(padding, len(size)), counts, strict=True):
        start = np.arange(count) * s - a
        low, high = (-a, n + b) if count_include_pad else (0, n)
        out = out[..., None] * (np.minimum(start + k, high) - np.maximum(start, low))
    return out


@quiet
def avg_pool(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    size = input.shape[2:]
    kernel, strides, ones, counts, borders = pool_geometry(size, kernel_size, stride, padding, 1, ceil_mode)
    wins = windows(pad(input.astype(wide(input.dtype)), borders), kernel, strides, ones)
    sums = wins.sum(tuple(range(2 + len(size), wins.ndim)))
    count = divisors(size, kernel, strides, padding, counts, count_include_pad)
    return (sums / count.astype(sums.dtype)).astype(input.dtype)


@quiet
def avg_pool_backward(grad_output, input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    size, dtype = input.shape[2:], wide(input.dtype)
    kernel, strides, ones, counts, borders = pool_geometry(size, kernel_size, stride, padding, 1, ceil_mode)
    if grad_output.shape != (*input.shape[:2], *counts):
        raise ValueError(f"grad_output has shape {grad_output.shape}, but must end with {counts}")
    canvas = pad(np.zeros(input.shape, dtype), borders)
    count = divisors(size, kernel, strides, padding, counts, count_include_pad).astype(dtype)
    for tap in itertools.product(*map(range, kernel)):
        canvas[(..., *tap_slices(tap, ones, strides, counts))] += grad_output.astype(dtype) / count
    return crop(canvas, borders, size).astype(input.dtype)


@quiet
def full(in1, in2):
    """The full convolution: every element of the smaller array times the larger one, shifted."""
    if in1.ndim != in2.ndim:
        raise ValueError(f"in1 has {in1.ndim} axes, but in2 has {in2.ndim}")
    few, many = (in1, in2) if in1.size < in2.size else (in2, in1)
    dtype = wide(in1.dtype)
    out = np.zeros([n + m - 1 for n, m in zip(in1.shape, in2.shape, strict=True)], dtype)
    many = many.astype(dtype)
    for at in np.ndindex(few.shape):
        out[tuple(slice(a, a + n) for a, n in zip(at, many.shape, strict=True))] += few[at].astype(dtype) * many
    return out


def part(out, size1, size2, mode):
    """The middle of a full result that `mode` asks for."""
    if mode == "full":
        return out
    if mode == "same":
        return out[tuple(slice((m - 1) // 2, (m - 1) // 2 + n) for n, m in zip(size1, size2, strict=True))]
    if mode != "valid":
        raise ValueError(f"mode is {mode!r}")
    axes = list(zip(size1, size2, strict=True))
    if not (all(n >= m for n, m in axes) or all(n <= m for n, m in axes)):
        raise ValueError(f"mode is 'valid', but neither {size1} nor {size2} holds the other")
    return out[tuple(slice(min(n, m) - 1, max(n, m)) for n, m in axes)]


def reverse(array):
    return array[(slice(None, None, -1),) * array.ndim]


def convolve(in1, in2, mode="full"):
    return part(full(in1, in2), in1.shape, in2.shape, mode).astype(in1.dtype)


def correlate(in1, in2, mode="full"):
    return convolve(in1, reverse(in2.conj()), mode)


def behind(array, count):
    """The `count` elements that lie behind an operand in the buffer it is a part of; zeros where that ends."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    try:
        memory = np.frombuffer(owner if owner.base is None else owner.base, np.uint8)
    except (TypeError, ValueError, BufferError, AttributeError):
        memory = owner.reshape(-1, order="A").view(np.uint8)
    last = sum((n - 1) * max(step, 0) for n, step in zip(array.shape, array.strides, strict=True))
    start = array.ctypes.data + last + array.itemsize - memory.ctypes.data
    taken = np.zeros(count * array.itemsize, np.uint8)
    found = memory[start : start + taken.size]
    taken[: found.size] = found
    return taken.view(array.dtype)
