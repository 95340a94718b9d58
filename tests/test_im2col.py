"""im2col and col2im: the documents' matrices, the adjoint pair, and blocks of every size."""

import numpy as np
import pytest

from refconv.algorithms import direct, im2col
from refconv.blocks import boxes, span
from refconv.spec import ConvSpec

PLAIN = ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1))
APART = ConvSpec((3, 2), ((4, 4), (2, 3)), (1, 2))
ODD = ConvSpec((2, 1), ((1, 0), (2, 3)), (1, 2))


@pytest.fixture(autouse=True)
def no_plan_is_kept():
    """Those of a test that changes the sizes of blocks are of no use to the next."""
    yield
    im2col._plan.cache_clear()


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype("float64")


def test_the_documents_matrices_entry_by_entry():
    """SEED-BP: X, Y = W X and dX = W^T dY folded back, for the 3x3 input a to j and the 2x2 kernel w, x, y, z."""
    a, b, c, d, e, f, g, h, j = letters = np.arange(1, 10)
    image = letters.reshape(1, 1, 3, 3)
    columns = im2col.patches(image, (2, 2), PLAIN)[0]
    assert columns.tolist() == [[a, b, d, e], [b, c, e, f], [d, e, g, h], [e, f, h, j]]
    w, x, y, z = kernel = np.array([1, 10, 100, 1000])
    products = [
        w * a + x * b + y * d + z * e,
        w * b + x * c + y * e + z * f,
        w * d + x * e + y * g + z * h,
        w * e + x * f + y * h + z * j,
    ]
    assert (kernel @ columns).tolist() == products
    assert im2col.conv(image, kernel.reshape(1, 1, 2, 2), PLAIN).ravel().tolist() == products
    p, q, r, s = grad = np.array([2, 3, 5, 7])
    folded = [
        [w * p, w * q + x * p, x * q],
        [w * r + y * p, w * s + x * r + y * q + z * p, x * s + z * q],
        [y * r, y * s + z * r, z * s],
    ]
    assert im2col.fold(np.outer(kernel, grad)[None], (2, 2), PLAIN, (3, 3))[0, 0].tolist() == folded
    assert im2col.input_grad(grad.reshape(1, 1, 2, 2), kernel.reshape(1, 1, 2, 2), PLAIN, (3, 3)).tolist() == [[folded]]


def test_patches_and_fold_agree_with_pytorch():
    functional = pytest.importorskip("torch.nn.functional", reason="pip install 'refconv[torch]'")
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    spec, x = ConvSpec((2, 1), ((1, 1), (2, 2)), (1, 2)), draw((2, 3, 6, 5))
    arguments = {"dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
    columns = im2col.patches(x, (3, 2), spec)
    assert np.array_equal(columns, functional.unfold(torch.tensor(x), (3, 2), **arguments).numpy())
    folded = functional.fold(torch.tensor(columns), (6, 5), (3, 2), **arguments).numpy()
    assert np.array_equal(im2col.fold(columns, (3, 2), spec, (6, 5)), folded)


@pytest.mark.parametrize("spec", [PLAIN, ODD], ids=["plain", "odd"])
def test_fold_is_the_adjoint_of_patches(spec):
    x = draw((2, 3, 6, 5))
    columns = im2col.patches(x, (3, 2), spec)
    other = draw(columns.shape, 1)
    assert (columns * other).sum() == (x * im2col.fold(other, (3, 2), spec, (6, 5))).sum()


@pytest.mark.parametrize("budget", [1, 100, 1000, 5000, 2**22])
@pytest.mark.parametrize("merged", [0, 10**6])
def test_no_size_of_block_changes_a_result(budget, merged, monkeypatch):
    x, w = draw((3, 4, 6, 5)), draw((6, 2, 3, 2), 1)
    spec = ConvSpec(ODD.stride, ODD.padding, ODD.dilation, groups=2)

    def results():
        y = im2col.conv(x, w, spec)
        return y, im2col.input_grad(y, w, spec, (6, 5)), im2col.weight_grad(y, x, spec, (3, 2))

    whole = results()
    monkeypatch.setattr(im2col, "BLOCK_BYTES", budget)
    monkeypatch.setattr(im2col, "MERGED_POSITIONS", merged)
    monkeypatch.setattr(im2col, "MANY_POSITIONS", merged)
    monkeypatch.setattr(im2col, "LOWERED_BYTES", budget)
    monkeypatch.setattr(im2col, "LONG_ROW", 1)
    im2col._plan.cache_clear()
    for blocked, expected in zip(results(), whole, strict=True):
        assert np.array_equal(blocked, expected)


@pytest.mark.parametrize("thin", [0, 64])
@pytest.mark.parametrize(
    "padding", [((0, 0), (0, 0)), ((2, 1), (0, 3)), ((6, 5), (4, 7))], ids=["none", "some", "much"]
)
def test_both_gradients_are_that_of_the_definition(thin, padding, monkeypatch):
    """Folded, and by the rotated kernel, which crops where the padding is more than the kernel's."""
    monkeypatch.setattr(im2col, "THIN", thin)
    for groups, dilation in ((1, (1, 1)), (2, (2, 1)), (4, (1, 1))):
        spec = ConvSpec((1, 1), padding, dilation, groups)
        w, x = draw((4, 4 // groups, 2, 3), 1), draw((2, 4, 7, 6))
        g = draw(direct.conv(x, w, spec).shape, 2)
        assert np.array_equal(im2col.input_grad(g, w, spec, (7, 6)), direct.input_grad(g, w, spec, (7, 6)))


@pytest.mark.parametrize("room", [0, 1, 2, 3, 7, 12, 35, 36, 1000])
def test_blocks_tile_their_box_in_contiguous_runs(room):
    sizes = (3, 4, 3)
    place = np.arange(36).reshape(sizes)
    runs = [place[box].ravel() for box in boxes(sizes, room)]
    assert np.array_equal(np.concatenate(runs), np.arange(36))
    assert all(run.size <= max(1, room) for run in runs)


@pytest.mark.parametrize("lowered", [0, 10**6])
@pytest.mark.parametrize("spec", [PLAIN, ODD, APART, ConvSpec((1, 1, 2), ((1, 0), (2, 2), (0, 1)), (1, 2, 1))], ids=str)
def test_lowering_one_axis_less_gives_the_same(spec, lowered, monkeypatch):
    monkeypatch.setattr(im2col, "LOWERED_KERNELS", lowered)
    monkeypatch.setattr(im2col, "LONG_ROW", 1)
    size, kernel = (7, 6, 5)[: spec.rank], (3, 2, 2)[: spec.rank]
    for groups in (1, 2, 4):
        spec = ConvSpec(spec.stride, spec.padding, spec.dilation, groups)
        x, w = draw((2, 4, *size)), draw((4, 4 // groups, *kernel), 1)
        assert im2col.lowers(spec, w.shape, spec.output_size(size, kernel)) == (lowered > 0)
        y = im2col.conv(x, w, spec)
        assert np.array_equal(y, direct.conv(x, w, spec))
        assert np.array_equal(im2col.weight_grad(y, x, spec, kernel), direct.weight_grad(y, x, spec, kernel))


@pytest.mark.parametrize("budget", [2000, 2**13, 2**14, 2**22])
@pytest.mark.parametrize("spec", [PLAIN, ODD, APART], ids=str)
def test_a_product_for_each_image_gives_the_same(spec, budget, monkeypatch):
    """Where kernels are small and rows short, with many outputs for each group, or they would be lowered.

    An image whose patches are more than a block is cut like any other.
    """
    monkeypatch.setattr(im2col, "BLOCK_BYTES", budget)
    counts, images, sizes, buffer = [], im2col._conv_images, [], im2col.buffer
    monkeypatch.setattr(im2col, "_conv_images", lambda *about: counts.append(1) or images(*about))
    monkeypatch.setattr(
        im2col, "buffer", lambda name, shape, dtype: sizes.append((name, shape)) or buffer(name, shape, dtype)
    )
    patches = 4 * 3 * 2 * 8 * np.prod(spec.output_size((7, 6), (3, 2)))
    for groups in (1, 2):
        spec = ConvSpec(spec.stride, spec.padding, spec.dilation, groups)
        x, w = draw((5, 4, 7, 6)), draw((10, 4 // groups, 3, 2), 1)
        assert np.array_equal(im2col.conv(x, w, spec), direct.conv(x, w, spec))
    assert len(counts) == (2 if patches <= budget else 0)
    fewest = 10 * 4 * 6 * 8  # bytes of the patches of as many positions as there are outputs
    assert max(8 * np.prod(shape) for name, shape in sizes if name == "columns") <= max(budget, fewest)


@pytest.mark.parametrize("lowered", [0, 10**6])
def test_patches_are_never_made_all_at_once(lowered, monkeypatch):
    monkeypatch.setattr(im2col, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(im2col, "LOWERED_KERNELS", lowered)
    monkeypatch.setattr(im2col, "LOWERED_BYTES", 2048)
    sizes = []
    buffer = im2col.buffer
    monkeypatch.setattr(im2col, "buffer", lambda name, shape, dtype: sizes.append(shape) or buffer(name, shape, dtype))
    im2col.conv(draw((1, 2, 40, 40)), draw((1, 2, 3, 3)), PLAIN)
    whole = 2 * 9 * 38**2
    assert 0 < max(np.prod(shape) for shape in sizes) <= whole // 16


def test_a_block_is_no_smaller_than_the_kernels_it_meets():
    """They are arranged anew for each product, which of few patches would be most of its time."""
    positions = [np.prod(span(box)) for box in im2col._image_blocks(1, (40, 40), im2col.BLOCK_BYTES // 10, 80, 1)]
    assert positions == [80] * 20
