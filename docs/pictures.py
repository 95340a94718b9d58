"""The gallery's pictures, each drawn by a function of its name from what refconv computes, in a theme's colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

import refconv
from refconv import bound, exact
from refconv.algorithms import ALGORITHMS, im2col, toeplitz, winograd
from refconv.claims import Claims
from refconv.network import NETWORKS, SGD
from refconv.network.train import digits
from refconv.spec import OPERATIONS, Case, conv_spec

__all__ = ["PICTURES", "THEMES", "Theme", "draw"]


@dataclass(frozen=True)
class Theme:
    """Colours: the page, text and lines, what stands back, and three that stand out."""

    page: str
    ink: str
    faint: str
    first: str
    second: str
    third: str

    @property
    def scale(self) -> LinearSegmentedColormap:
        """From the second colour through the page to the first."""
        return LinearSegmentedColormap.from_list("scale", [self.second, self.page, self.first])


THEMES = {
    "light": Theme("#ffffff", "#1f2328", "#d0d7de", "#0969da", "#d1570a", "#1a7f37"),
    "dark": Theme("#0d1117", "#e6edf3", "#3d444d", "#58a6ff", "#f0883e", "#3fb950"),
}
X4 = np.array([[3, 2, 0, 1], [0, 2, 1, 2], [2, 0, 0, 3], [2, 3, 1, 2]])
W3 = np.array([[2, 1, 2], [0, 0, 3], [0, 0, 2]])
NINE, FOUR = np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2)


def draw(name: str, theme: Theme) -> Figure:
    """One picture in a theme.

    >>> draw("toeplitz", THEMES["dark"]).get_facecolor()[:3] == draw("toeplitz", THEMES["light"]).get_facecolor()[:3]
    False
    """
    colours = {
        "font.size": 10,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.faint,
        "axes.facecolor": theme.page,
        "figure.facecolor": theme.page,
        "savefig.facecolor": theme.page,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "legend.frameon": False,
        "svg.hashsalt": name,
    }
    with matplotlib.rc_context(colours):
        return PICTURES[name](theme)


# ------------------------------------------------------------------------------------------------- building stones


def _panels(widths: list[float], height: float) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
    return figure, list(axes)


def _bare(ax: Any, title: str) -> None:
    ax.set_title(title, fontsize=10)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def _grid(ax: Any, values: Any, theme: Theme, title: str, colours: Any = None, text: Any = None) -> None:
    """Numbers in squares; `colours` gives each square's, `text` what is written instead of the number."""
    rows, columns = np.shape(values)
    for (i, j), value in np.ndenumerate(values):
        colour = theme.page if colours is None else colours[i][j]
        ax.add_patch(matplotlib.patches.Rectangle((j, i), 1, 1, facecolor=colour, edgecolor=theme.faint))
        label = value if text is None else text[i][j]
        ax.text(j + 0.5, i + 0.5, label, ha="center", va="center", color=theme.ink, fontsize=9)
    ax.set_xlim(-0.1, columns + 0.1)
    ax.set_ylim(rows + 0.1, -0.1)
    ax.set_aspect("equal")
    _bare(ax, title)


def _frame(ax: Any, row: int, column: int, height: int, width: int, colour: str) -> None:
    ax.add_patch(
        matplotlib.patches.Rectangle((column, row), width, height, fill=False, edgecolor=colour, linewidth=2.5)
    )


def _mixed(theme: Theme, colour: str, share: float) -> tuple[float, ...]:
    """A colour thinned with the page."""
    page, full = (np.array(matplotlib.colors.to_rgb(c)) for c in (theme.page, colour))
    return tuple(page + share * (full - page))


def _where(mask: Any, theme: Theme, colour: str) -> Any:
    """A thin colour where the mask is true, the page elsewhere."""
    return [[_mixed(theme, colour, 0.3) if on else theme.page for on in row] for row in np.asarray(mask)]


# ------------------------------------------------------------------------------------------------------ the gallery


def sliding_window(theme: Theme) -> Figure:
    """E24.2, one position of the window."""
    figure, (image, kernel, output) = _panels([4, 3, 2], 2.6)
    y = refconv.conv2d(X4[None, None], W3[None, None])[0, 0]
    seen = np.zeros((4, 4), bool)
    seen[0:3, 1:4] = True
    _grid(image, X4, theme, "input", _where(seen, theme, theme.first))
    _frame(image, 0, 1, 3, 3, theme.first)
    _grid(kernel, W3, theme, "kernel")
    _grid(output, y, theme, "output", _where([[0, 1], [0, 0]], theme, theme.first))
    _frame(output, 0, 1, 1, 1, theme.first)
    return figure


def padding_and_stride(theme: Theme) -> Figure:
    """C6.3.2: padding 1, stride 3 down and 2 across."""
    figure, (image, kernel, output) = _panels([5, 2, 2], 3)
    padded = np.pad(NINE, 1)
    border = np.ones((5, 5), bool)
    border[1:4, 1:4] = False
    _grid(image, padded, theme, "padded input", _where(border, theme, theme.faint))
    y = refconv.conv2d(NINE[None, None], FOUR[None, None], padding=1, stride=(3, 2))[0, 0]
    colours = [[theme.first, theme.second], [theme.third, theme.ink]]
    for (i, j), _ in np.ndenumerate(y):
        _frame(image, 3 * i, 2 * j, 2, 2, colours[i][j])
    _grid(kernel, FOUR, theme, "kernel")
    _grid(output, y, theme, "output")
    for (i, j), _ in np.ndenumerate(y):
        _frame(output, i, j, 1, 1, colours[i][j])
    return figure


def im2col_matrix(theme: Theme) -> Figure:
    """E24.2 as one product of matrices."""
    figure, (image, weights, columns) = _panels([4, 9, 4], 3.4)
    X = im2col.patches(X4[None, None], (3, 3), conv_spec(2, (3, 3)))[0]
    _grid(image, X4, theme, "input")
    _frame(image, 0, 1, 3, 3, theme.first)
    _grid(weights, W3.reshape(1, 9), theme, "kernel as a row, times")
    _grid(columns, X, theme, "patches as columns", _where(np.tile([0, 1, 0, 0], (9, 1)), theme, theme.first))
    return figure


def toeplitz_matrix(theme: Theme) -> Figure:
    """A convolution's dense matrix: which tap stands where."""
    figure, (ax,) = _panels([1], 4)
    kernel = np.arange(1, 10).reshape(1, 1, 3, 3)
    matrix = toeplitz.matrix(kernel, conv_spec(2, (3, 3)), (6, 6)).toarray()
    colours = np.array([matplotlib.colors.to_rgb(theme.page)] + [
        _mixed(theme, colour, share) for colour in (theme.first, theme.second, theme.third) for share in (1, 0.7, 0.4)
    ])  # fmt: skip
    ax.imshow(colours[matrix.astype(int)], interpolation="nearest")
    _bare(ax, "16 outputs by 36 inputs: 144 entries, 9 different ones, one colour for each tap")
    return figure


def winograd_transforms(theme: Theme) -> Figure:
    """F(2, 3): two outputs of three taps with four products."""
    A, G, B = (np.asarray(matrix, float) for matrix in winograd.transform_matrices(2, 3))
    figure, axes = _panels([G.shape[1], B.shape[0], A.shape[0]], 2.6)
    named = [(G, "G: 3 taps to 4 numbers"), (B.T, "B^T: 4 inputs to 4 numbers"), (A.T, "A^T: 4 products to 2 outputs")]
    for ax, (matrix, title) in zip(axes, named, strict=True):
        colours = theme.scale(0.5 + matrix / 4)
        _grid(ax, matrix, theme, title, colours, [[f"{v:.3g}" for v in row] for row in matrix])
    return figure


def convolution_theorem(theme: Theme) -> Figure:
    """A signal, a kernel, and the product of their transforms."""
    random = np.random.default_rng(4)
    f = np.where((np.arange(48) > 12) & (np.arange(48) < 30), 1.0, 0.0) + 0.15 * random.standard_normal(48)
    g = np.exp(-(np.arange(-8, 9) ** 2) / 18)
    h = refconv.convolve(f, g / g.sum())
    size = len(h)
    figure, (time, frequency) = _panels([1, 1], 2.8)
    time.plot(f, color=theme.second, label="f")
    time.plot(np.arange(size) - 8, h, color=theme.first, label="f * g")
    time.set_title("convolve", fontsize=10)
    spectra = [np.abs(np.fft.rfft(a, size)) for a in (f, g / g.sum(), h)]
    frequency.semilogy(spectra[0], color=theme.second, label="|F f|")
    frequency.semilogy(spectra[1], color=theme.third, label="|F g|")
    frequency.semilogy(spectra[0] * spectra[1], color=theme.ink, lw=4, alpha=0.35, label="|F f| |F g|")
    frequency.semilogy(spectra[2], color=theme.first, lw=1.2, label="|F (f * g)|")
    frequency.set_ylim(1e-3, None)
    frequency.set_title("multiply", fontsize=10)
    for ax in (time, frequency):
        ax.legend(fontsize=8)
    return figure


def receptive_field(theme: Theme) -> Figure:
    """Three layers of 3 taps, strides 1, 2 and 1: what one output sees."""
    layers = [(3, 1), (3, 2), (3, 1)]
    figure, (ax,) = _panels([1], 3.2)
    sizes = [13]
    for k, s in layers:
        sizes.append((sizes[-1] - k) // s + 1)
    seen = [set() for _ in sizes]
    seen[-1] = {sizes[-1] // 2}
    places = [np.arange(n) * np.prod([s for _, s in layers[:i]], initial=1) for i, n in enumerate(sizes)]
    places = [p - p.mean() for p in places]
    for i in range(len(layers), 0, -1):
        k, s = layers[i - 1]
        for o in range(sizes[i]):
            for tap in range(k):
                inside = o in seen[i]
                if inside:
                    seen[i - 1].add(o * s + tap)
                ax.plot(
                    [places[i][o], places[i - 1][o * s + tap]], [i, i - 1],
                    color=theme.first if inside else theme.faint, lw=1.4 if inside else 0.7, zorder=2 if inside else 1,
                )  # fmt: skip
    for i, place in enumerate(places):
        colours = [theme.first if j in seen[i] else theme.page for j in range(len(place))]
        ax.scatter(place, np.full(len(place), i), s=90, c=colours, edgecolors=theme.ink, zorder=3)
    size = refconv.receptive_field(layers).size
    assert len(seen[0]) == size
    _bare(ax, f"one output sees {size} inputs")
    ax.set_yticks(range(4), ["input", "3 taps", "3 taps, stride 2", "3 taps"])
    ax.tick_params(length=0)
    return figure


def gradient_routing(theme: Theme) -> Figure:
    """A pooling's gradient on its way back."""
    g = np.array([[10.0, 20], [30, 40]])
    operands = g[None, None], X4[None, None].astype(float)
    most, mean = (f(*operands, 2)[0, 0] for f in (refconv.max_pool2d_backward, refconv.avg_pool2d_backward))
    figure, axes = _panels([2, 4, 4, 4], 2.6)
    quarter = [theme.first, theme.second, theme.third, theme.ink]
    home = np.kron([[0, 1], [2, 3]], np.ones((2, 2), int))
    _grid(
        axes[0],
        g.astype(int),
        theme,
        "gradient",
        [[_mixed(theme, quarter[2 * i + j], 0.35) for j in (0, 1)] for i in (0, 1)],
    )
    for ax, values, title in ((axes[1], X4, "input"), (axes[2], most, "max pooling"), (axes[3], mean, "average")):
        on = values if title != "input" else most
        colours = [
            [_mixed(theme, quarter[home[i, j]], 0.35) if on[i, j] else theme.page for j in range(4)] for i in range(4)
        ]
        _grid(ax, values, theme, title, colours, [[f"{v:g}" for v in row] for row in values])
    return figure


def learnt_kernels(theme: Theme) -> Figure:
    """The edge kernel on its way, and LeNet's first kernels after three times through the digits."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.3])
    ax = left.subplots()
    path = _descent()
    a, b = np.meshgrid(np.linspace(-0.6, 1.7, 60), np.linspace(-1.6, 1.2, 60))
    d, e = a - 1, b + 1
    ax.contour(a, b, np.sqrt(18 * d**2 + 24 * d * e + 18 * e**2), levels=8, colors=[theme.faint])
    ax.plot(*path.T, "o-", color=theme.first, ms=4)
    ax.plot(1, -1, "x", color=theme.second, ms=10, mew=2)
    ax.set_title("ten steps to [1, -1]", fontsize=10)
    ax.set_xlabel("first tap")
    ax.set_ylabel("second tap")
    kernels = _lenet()
    reach = np.abs(kernels).max()
    axes = right.subplots(2, 3)
    for ax, kernel in zip(axes.flat, kernels, strict=True):
        ax.imshow(kernel, cmap=theme.scale, vmin=-reach, vmax=reach)
        _bare(ax, "")
    right.suptitle("LeNet's first kernels, learnt from digits", fontsize=10)
    return figure


def _descent() -> Any:
    stripes = np.repeat([[1.0, 1, 0, 0, 0, 0, 1, 1]], 6, axis=0)[None, None]
    edges = refconv.conv2d(stripes, np.array([[[[1.0, -1.0]]]]))
    kernel, path = np.array([[[[-0.4, 0.8]]]]), []
    for _ in range(11):
        path.append(kernel.ravel())
        residual = 2 * (refconv.conv2d(stripes, kernel) - edges)
        kernel = kernel - 3e-2 * refconv.conv2d_backward(residual, stripes, kernel)[1]
    return np.array(path)


def _lenet() -> Any:
    from refconv.network import gradients

    network, data, descent = NETWORKS["lenet5"], digits(), SGD(0.05, 0.9)
    values, velocity, random = network.initial(0, "float32"), {}, np.random.default_rng(1)
    for _ in range(3):
        for part in np.split(random.permutation(1437), range(32, 1437, 32)):
            found = gradients(network.body, data.images[part], data.labels[part], values)
            values, velocity = descent.step(values, found.parameters, velocity)
    return values["0.weight"][:, 0]


def errors_in_units_of_the_bound(theme: Theme) -> Figure:
    """Each method's errors on one float32 layer whose pixels differ in size, against two bounds."""
    figure, (ax,) = _panels([1], 3.4)
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(s).astype("float32") for s in ((1, 16, 24, 24), (8, 16, 3, 3)))
    x *= np.exp(3 * random.standard_normal(x.shape)).astype("float32")
    case = Case(OPERATIONS["conv2d"], {"input": x, "weight": w}, {"padding": 1}, "float32")
    truth, direct = exact.values(case)["output"], bound.allowed(case, Claims())["output"]
    for row, method in enumerate(ALGORITHMS):
        y = refconv.conv2d(x, w, padding=1, method=method).astype(float)
        error = np.abs(y - truth.high - truth.low).ravel()
        claim = ALGORITHMS[method].claim("conv2d", case.conv, (24, 24), (3, 3))
        own = bound.allowed(case, Claims(algorithm=claim))["output"].ravel()
        for room, colour in ((direct.ravel(), theme.second), (own, theme.first)):
            ratio = np.maximum(error / room, 1e-6)
            counts, edges = np.histogram(np.log10(ratio), bins=100, range=(-6, 4))
            height = 0.8 * counts / counts.max()
            ax.fill_between(10 ** edges[:-1], row, row + height, step="post", color=colour, alpha=0.45, lw=0)
            ax.plot([ratio.max()] * 2, [row, row + 0.5], color=colour, lw=2)
    ax.axvline(1, color=theme.ink, lw=1)
    ax.set_xscale("log")
    ax.set_yticks(range(len(ALGORITHMS)), list(ALGORITHMS))
    ax.set_xlabel("error / allowed error; the stroke is the largest")
    for colour, label in ((theme.second, "allowed to direct summation"), (theme.first, "allowed to its own class")):
        ax.plot([], [], color=colour, lw=5, alpha=0.6, label=label)
    ax.legend(fontsize=8, loc="lower right")
    return figure


PICTURES: dict[str, Callable[[Theme], Figure]] = {
    "sliding_window": sliding_window,
    "padding_and_stride": padding_and_stride,
    "im2col": im2col_matrix,
    "toeplitz": toeplitz_matrix,
    "winograd": winograd_transforms,
    "fft": convolution_theorem,
    "receptive_field": receptive_field,
    "gradient_routing": gradient_routing,
    "learnt_kernels": learnt_kernels,
    "errors": errors_in_units_of_the_bound,
}
