"""Each layer forward and back: exactly where numbers are whole, within derived bounds where they are not."""

from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest

from refconv import network
from refconv.network import error
from refconv.network.layers import Layer
from tests import torch_twin

CONV = network.Conv2d(4, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1), groups=2)
INCEPTION = network.Concat(
    (
        network.Conv2d(2, 1),
        network.Sequential((network.MaxPool2d(3, 1, 1), network.Conv2d(3, 1))),
        network.Conv2d(3, 3, padding=1),
    )
)
RESIDUAL = network.Sum(
    (
        network.Sequential((network.Conv2d(2, 3, padding=1), network.ReLU())),
        network.Sequential(()),
        network.Conv2d(2, 1),
    )
)
# Layers whose result is a sum of products, or picks one of its inputs: whole numbers stay whole, quarters quarters.
PIECEWISE = {
    "conv": (CONV, (2, 7, 8)),
    "conv without bias": (network.Conv2d(3, 3, bias=False), (2, 6, 5)),
    "locally connected": (network.LocallyConnected2d(3, (3, 2), stride=2, padding=1), (2, 6, 7)),
    "dense": (network.Dense(5), (7,)),
    "batch norm, inference": (network.BatchNorm2d(), (3, 4, 5)),
    "max pool": (network.MaxPool2d(2), (3, 6, 6)),
    "max pool, overlapping": (network.MaxPool2d(3, 2, padding=1), (3, 7, 8)),
    "max pool, ceil mode": (network.MaxPool2d(3, 2, ceil_mode=True), (2, 6, 8)),
    "average pool": (network.AvgPool2d(2), (3, 6, 6)),
    "average pool, overlapping": (network.AvgPool2d(4, 2, padding=1), (3, 7, 8)),
    "global average pool": (network.GlobalAvgPool(), (3, 4, 8)),
    "flatten": (network.Flatten(), (3, 4, 5)),
    "relu": (network.ReLU(), (3, 4, 5)),
    "residual": (RESIDUAL, (2, 5, 6)),
    "concatenation": (INCEPTION, (2, 5, 6)),
    "sequence": (network.Sequential((network.Conv2d(3, 3), network.ReLU(), network.MaxPool2d(2))), (2, 8, 8)),
}
LINEAR = {
    name: PIECEWISE[name]
    for name in ("conv", "locally connected", "dense", "average pool, overlapping", "global average pool", "flatten")
}
SMOOTH = {
    "batch norm, training": (network.BatchNorm2d(), (3, 4, 5)),
    "batch norm of features": (network.BatchNorm2d(), (6,)),
    "sigmoid": (network.Sigmoid(), (3, 4, 5)),
    "tanh": (network.Tanh(), (3, 4, 5)),
}
EVERY = PIECEWISE | SMOOTH


def whole_numbers(layer, shape, seed=0):
    """An input, values and a gradient of the output, all whole; a batch norm's variance and eps add up to one."""
    random = np.random.default_rng(seed)
    x, g = (random.integers(-4, 5, (3, *s)).astype(float) for s in (shape, layer.output_shape(shape)))
    values = {name: random.integers(-3, 4, s).astype(float) for name, s in layer.parameters(shape).items()}
    if isinstance(layer, network.BatchNorm2d):
        values |= {"running_mean": random.integers(-3, 4, shape[0]).astype(float)}
        values |= {"running_var": np.full(shape[0], 1 - layer.eps)}
        assert values["running_var"][0] + layer.eps == 1
    return x, values, g


def real_numbers(layer, shape, seed=0, dtype="float64"):
    random = np.random.default_rng(seed)
    x, g = (random.standard_normal((3, *s)).astype(dtype) for s in (shape, layer.output_shape(shape)))
    values = {name: random.standard_normal(s).astype(dtype) for name, s in layer.parameters(shape).items()}
    if isinstance(layer, network.BatchNorm2d):
        values |= {"running_mean": random.standard_normal(shape[0]).astype(dtype)}
        values |= {"running_var": random.uniform(0.5, 2, shape[0]).astype(dtype)}
    return x, values, g


def same_bits(layer, x, values, g):
    """Output and all gradients are PyTorch's."""
    y, back, _ = layer.forward(x, values)
    grad_input, own = back(g)
    expected, expected_input, expected_own = torch_twin.pulled_back(layer, x, values, g)
    assert np.array_equal(y, expected)
    assert np.array_equal(grad_input, expected_input)
    assert own.keys() == expected_own.keys() == layer.parameters(x.shape[1:]).keys()
    for name, gradient in own.items():
        assert np.array_equal(gradient, expected_own[name]), name


@pytest.mark.parametrize("name", PIECEWISE)
def test_whole_numbers_are_computed_as_by_pytorch_bit_for_bit(name):
    """S18: nothing rounds, so output, gradient of the input and of every parameter are the very same numbers."""
    layer, shape = PIECEWISE[name]
    for seed in range(3):
        same_bits(layer, *whole_numbers(layer, shape, seed))


def within_bounds(layer, x, values, g, training, method="auto", sharp=1e-11):
    """Ours and PyTorch's each lie within the bound, which is so small against the norm that a fault shows."""
    y, back = error.bounded_pass(layer, error.Bounded(x, 0.0), values, error.How(training, method))
    grad_input, own = back(error.Bounded(g, 0.0))
    expected, expected_input, expected_own = torch_twin.pulled_back(layer, x, values, g, training)
    pairs = [(y, expected), (grad_input, expected_input), *((own[name], a) for name, a in expected_own.items())]
    for ours, theirs in pairs:
        assert np.linalg.norm(ours.value - theirs) <= 2 * ours.error
        assert 2 * ours.error <= sharp * np.linalg.norm(theirs)


@pytest.mark.parametrize("name", EVERY)
def test_real_numbers_agree_with_pytorch_within_the_derived_bound(name):
    """S18, S19: forward and every gradient, float64, within what `refconv.network.error` proves of both."""
    layer, shape = EVERY[name]
    for seed in range(2):
        within_bounds(layer, *real_numbers(layer, shape, seed), training="training" in name or name in SMOOTH)


@pytest.mark.parametrize("method", ["direct", "im2col", "fft", "toeplitz", "winograd"])
def test_every_method_gives_the_same_network(method):
    """A network run by any method agrees with PyTorch within the error class of that method."""
    layer = network.Sequential(
        (network.Conv2d(4, 3, padding=1), network.Tanh(), network.Conv2d(3, 5, padding=2, stride=2), INCEPTION)
    )
    within_bounds(layer, *real_numbers(layer, (2, 12, 12)), training=False, method=method, sharp=1e-7)


def test_a_bound_knows_the_method():
    """Transforms are allowed what they round, which a direct sum is not."""
    x, values, _ = real_numbers(network.Conv2d(1, 3), (1, 12, 12))
    found = {
        method: error.bounded_pass(network.Conv2d(1, 3), error.Bounded(x, 0.0), values, error.How(False, method))[
            0
        ].error
        for method in ("direct", "auto", "fft", "winograd")
    }
    assert found["direct"] == found["auto"] < min(found["fft"], found["winograd"])


# ------------------------------------------------------------------------------------------------ derivatives


@pytest.mark.parametrize("name", LINEAR)
def test_backward_is_the_adjoint(name):
    """S10, S12: <f(x) - f(0), g> = <x, f'(g)> exactly; the same in the parameters, in which f is linear too."""
    layer, shape = LINEAR[name]
    x, values, g = whole_numbers(layer, shape, 4)
    y, back, _ = layer.forward(x, values)
    grad_input, own = back(g)
    assert ((y - layer.forward(0 * x, values).output) * g).sum() == (x * grad_input).sum()
    nothing = layer.forward(x, {n: 0 * a for n, a in values.items()}).output
    if own:
        assert ((y - nothing) * g).sum() == sum((values[n] * a).sum() for n, a in own.items())


@pytest.mark.parametrize("name", PIECEWISE)
def test_backward_is_the_derivative_between_kinks(name):
    """S18: (f(x + h v) - f(x)) g = h f'(g) v exactly, for whole numbers and a power of two h that crosses no kink."""
    layer, shape = PIECEWISE[name]
    x, values, g = whole_numbers(layer, shape, 5)
    x = x + np.arange(x.size).reshape(x.shape) * 2.0**-16  # no two equal, none zero
    h, v = 2.0**-24, np.random.default_rng(6).integers(-2, 3, x.shape)
    y, back, _ = layer.forward(x, values)
    moved = layer.forward(x + h * v, values).output
    assert ((moved - y) * g).sum() / h == (back(g)[0] * v).sum()


def decimals(array):
    return np.vectorize(Decimal, otypes=[object])(array)


def in_decimal(layer, x, values):
    """What a smooth layer is, at the precision of the context."""
    if isinstance(layer, network.Sigmoid):
        return 1 / (1 + np.vectorize(lambda t: (-t).exp(), otypes=[object])(x))
    if isinstance(layer, network.Tanh):
        return 1 - 2 / (1 + np.vectorize(lambda t: (2 * t).exp(), otypes=[object])(x))
    over, channel = (0, *range(2, x.ndim)), (1, -1, *(1,) * (x.ndim - 2))
    n = x.size // x.shape[1]
    centred = x - (x.sum(axis=over) / n).reshape(channel)
    variance = (centred**2).sum(axis=over) / n + Decimal(layer.eps)
    scale = np.vectorize(lambda t: 1 / t.sqrt(), otypes=[object])(variance)
    return centred * (scale * values["weight"]).reshape(channel) + values["bias"].reshape(channel)


@pytest.mark.parametrize("name", SMOOTH)
def test_backward_is_the_derivative_of_smooth_layers(name):
    """S18, S19: <g, (f(x + h v) - f(x - h v)) / 2h> with 80 digits and h = 1e-25 is <f'(g), v>, within the bound.

    The central difference is off by h^2 |f'''| / 6, 45 digits below; so all that is allowed is the layer's rounding.
    """
    layer, shape = SMOOTH[name]
    x, values, g = real_numbers(layer, shape, 7)
    _, back = error.bounded_pass(layer, error.Bounded(x, 0.0), values, error.How(True, "auto"))
    grad_input, own = back(error.Bounded(g, 0.0))
    random, h = np.random.default_rng(8), Decimal("1e-25")
    with localcontext(prec=80):
        exact = {"x": decimals(x), **{n: decimals(a) for n, a in values.items()}}
        for operand, gradient in {"x": grad_input, **own}.items():
            v = random.standard_normal(exact[operand].shape)
            ends = [{**exact, operand: exact[operand] + sign * h * decimals(v)} for sign in (1, -1)]
            above, below = (in_decimal(layer, end["x"], end) for end in ends)
            derivative = ((above - below) / (2 * h) * decimals(g)).sum()
            found = (decimals(gradient.value) * decimals(v)).sum()
            assert abs(float(found - derivative)) <= gradient.error * np.linalg.norm(v)
            assert gradient.error <= 1e-12 * np.linalg.norm(gradient.value)


def test_the_loss_and_its_gradient():
    """S18: -log softmax of the right class, with 60 digits; the gradient by its central difference there."""
    random = np.random.default_rng(0)
    z, labels = random.standard_normal((3, 5)) * 10, np.array([4, 0, 2])
    value, gradient = error.bounded_loss(error.Bounded(z, 0.0), labels)
    with localcontext(prec=80):

        def loss(z):
            return (
                sum(sum((t.exp() for t in row), Decimal(0)).ln() - row[k] for row, k in zip(z, labels, strict=True)) / 3
            )

        v, h, exact = decimals(random.standard_normal(z.shape)), Decimal("1e-25"), decimals(z)
        assert abs(Decimal(float(value.value)) - loss(exact)) <= Decimal(value.error)
        derivative = (loss(exact + h * v) - loss(exact - h * v)) / (2 * h)
        found = (decimals(gradient.value) * v).sum()
        assert abs(float(found - derivative)) <= gradient.error * np.linalg.norm(v.astype(float))
    assert gradient.error <= 1e-13 * np.linalg.norm(gradient.value) and value.error <= 1e-12


def test_the_loss_of_large_logits():
    """Nothing overflows."""
    loss = network.softmax_cross_entropy(np.array([[1000.0, 0.0], [-1000.0, 0.0]]), [1, 1])
    assert loss.value == 500 and np.array_equal(loss.gradient, [[0.5, -0.5], [0, 0]])


def test_running_statistics_are_pytorchs():
    """S19: mean and unbiased variance of the batch, mixed in; whole numbers and momentum 1/2, so nothing rounds."""
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    x = np.array([1.0, 3, 5, 7, 2, 2, 4, 4]).reshape(2, 2, 2)  # variances 20 / 3 and 4 / 3 of four values each
    x = np.concatenate([x, x + 2])[..., None]
    theirs = torch.nn.BatchNorm2d(2, momentum=0.5, dtype=torch.float64)
    theirs(torch.tensor(x))
    ours = network.BatchNorm2d(momentum=0.5)
    start = {"weight": np.ones(2), "bias": np.zeros(2), "running_mean": np.zeros(2), "running_var": np.ones(2)}
    _, _, moved = ours.forward(x, start, training=True)
    assert moved.keys() == {"running_mean", "running_var"}
    for name, a in moved.items():
        b = getattr(theirs, name).numpy()
        assert abs(a - b).max() <= 16 * 2.0**-53 * abs(b).max()  # eight summands, two products
    assert ours.forward(x, start).statistics == {}


def test_descent_is_pytorchs():
    """S17: three steps with momentum, dyadic numbers: bit for bit."""
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    random = np.random.default_rng(0)
    values = {"w": random.integers(-9, 9, 5).astype(float)}
    tensor = torch.tensor(values["w"], requires_grad=True)
    theirs = torch.optim.SGD([tensor], lr=0.25, momentum=0.5)
    ours, velocity = network.SGD(lr=0.25, momentum=0.5), {}
    for _ in range(3):
        gradient = random.integers(-9, 9, 5).astype(float)
        tensor.grad = torch.tensor(gradient)
        theirs.step()
        values, velocity = ours.step(values, {"w": gradient}, velocity)
        assert np.array_equal(values["w"], tensor.detach().numpy())


# ------------------------------------------------------------------------------------------- the laws reject


class Wrong(Layer):
    """A layer with one fault in its backward pass."""


def fault(layer, change):
    """The layer, its gradients changed by a function of (grad_input, own, g, x)."""

    def forward(self, x, values, training=False, method="auto"):
        y, back, moved = layer.forward(x, values, training, method)
        return network.Pass(y, lambda g: change(*back(g), g, x), moved)

    return type("Wrong", (type(layer),), {"forward": forward})(**vars(layer))


FAULTS = {
    "kernel gradient flipped": ("conv", lambda gx, own, g, x: (gx, {**own, "weight": own["weight"][..., ::-1]})),
    "bias gradient averaged": ("conv", lambda gx, own, g, x: (gx, {**own, "bias": own["bias"] / len(x)})),
    "kernels exchanged": ("locally connected", lambda gx, own, g, x: (gx, {**own, "weight": own["weight"][:, ::-1]})),
    "gradient to every cell": ("max pool", lambda gx, own, g, x: (np.kron(g, np.ones((2, 2))), own)),
    "overlaps not added": ("max pool, overlapping", lambda gx, own, g, x: (np.clip(gx, -4, 4), own)),
    "average not divided": ("average pool", lambda gx, own, g, x: (4 * gx, own)),
    "derivative 1 at zero": ("relu", lambda gx, own, g, x: (g * (x >= 0), own)),
    "shortcut forgotten": ("residual", lambda gx, own, g, x: (gx - g, own)),
    "branches exchanged": ("concatenation", lambda gx, own, g, x: (gx, {**own, "0.bias": own["0.bias"][::-1]})),
    "mean and variance constant": (
        "batch norm, training",
        lambda gx, own, g, x: (g / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True)), own),
    ),
    "slope of another function": ("tanh", lambda gx, own, g, x: (g * (1 - np.tanh(x)), own)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_laws_reject_a_fault(name):
    """Each fault in a backward pass is seen by the law that compares with PyTorch."""
    where, change = FAULTS[name]
    layer, shape = EVERY[where]
    wrong = fault(layer, change)
    with pytest.raises(AssertionError):
        if where in PIECEWISE:
            same_bits(wrong, *whole_numbers(layer, shape))
        else:
            within_bounds(wrong, *real_numbers(layer, shape), training=True)


def test_the_bound_rejects_what_float32_rounds():
    """Weights rounded to float32 are 2^29 unit roundoffs away."""
    layer, shape = PIECEWISE["conv"]
    x, values, _ = real_numbers(layer, shape)
    rough = {name: a.astype("float32").astype("float64") for name, a in values.items()}
    y, _, _ = layer.forward(x, rough)
    bounded, _ = error.bounded_pass(layer, error.Bounded(x, 0.0), values, error.How(False, "auto"))
    assert np.linalg.norm(y - bounded.value) > 1000 * bounded.error


def test_where_a_gradient_jumps_there_is_no_bound():
    """An error that could turn a ReLU, or move a maximum, makes the gradient's bound infinite; exact zeros do not."""
    how, one = error.How(False, "auto"), np.ones((1, 1, 1, 1))
    for layer, x, certain in (
        (network.ReLU(), [[[[0.5, -0.5]]]], True),
        (network.ReLU(), [[[[1e-9, 0.5]]]], False),
        (network.MaxPool2d((1, 2)), [[[[0.5, 0.7]]]], True),
        (network.MaxPool2d((1, 2)), [[[[0.5, 0.5]]]], False),
        (network.MaxPool2d((1, 2)), [[[[0.0, 0.0]]]], False),
        (network.Sequential((network.ReLU(), network.MaxPool2d((1, 2)))), [[[[-1.0, -2.0]]]], True),
    ):
        y, back = error.bounded_pass(layer, error.Bounded(np.array(x), 1e-8), {}, how)
        grad, _ = back(error.Bounded(np.ones_like(y.value), 0.0))
        assert np.isfinite(grad.error) == certain
    with pytest.raises(NotImplementedError, match="`layer` is a Wrong"):
        error.bounded_pass(Wrong(), error.Bounded(one, 0.0), {}, how)


@pytest.mark.parametrize("name", EVERY)
def test_an_error_of_the_input_is_passed_on(name):
    """The bound for an input that is off covers what the layer makes of inputs moved by that much, in any direction."""
    layer, shape = EVERY[name]
    x, values, g = real_numbers(layer, shape, 9)
    size, random = 1e-6, np.random.default_rng(10)
    training = name in SMOOTH
    y, back = error.bounded_pass(layer, error.Bounded(x, size), values, error.How(training, "auto"))
    grad_input, own = back(error.Bounded(g, size))
    for _ in range(4):
        dx, dg = (0.999 * a * size / np.linalg.norm(a) for a in (random.standard_normal(s.shape) for s in (x, g)))
        moved, back, _ = layer.forward(x + dx, values, training)
        moved_input, moved_own = back(g + dg)
        assert np.linalg.norm(moved - y.value) <= y.error
        assert np.linalg.norm(moved_input - grad_input.value) <= grad_input.error
        for parameter, a in moved_own.items():
            assert np.linalg.norm(a - own[parameter].value) <= own[parameter].error
    assert y.error <= 100 * size


def test_wrong_input_is_refused():
    """Labels, a batch of one value in training, branches that do not fit: said in one line."""
    with pytest.raises(ValueError, match=r"`labels` has shape \(2,\) and `logits` \(1, 3\)"):
        network.softmax_cross_entropy(np.zeros((1, 3)), [0, 1])
    with pytest.raises(ValueError, match="from 0 to 2"):
        network.softmax_cross_entropy(np.zeros((1, 3)), [3])
    with pytest.raises(ValueError, match="more than one value"):
        network.BatchNorm2d().forward(np.zeros((1, 2, 1, 1)), {}, training=True)
    with pytest.raises(ValueError, match="must give the same"):
        network.Sum((network.Conv2d(2, 1), network.Conv2d(3, 1))).output_shape((1, 4, 4))
    with pytest.raises(ValueError, match="differ in channels only"):
        network.Concat((network.Conv2d(2, 1), network.Conv2d(2, 3))).output_shape((1, 4, 4))


def test_a_thinner_layer_keeps_its_geometry():
    """Channels are divided and rounded up; nothing else changes."""
    assert CONV.thinner(3) == replace(CONV, out_channels=2)
    assert network.Dense(10).thinner(4) == network.Dense(3)
