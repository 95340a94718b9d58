"""The receptive field of stacks and the tap map of a layer, against the documents and against impulses."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from refconv.pooling import max_pool2d
from refconv.receptive import Layer, ReceptiveField, receptive_field, taps
from refconv.signal import correlate
from refconv.spec import ConvSpec, conv_spec, pool_spec


def test_two_layers_see_five():
    """RF (S16): two 3x3 layers of stride 1 see 5x5, and reduce 5x5 to one element."""
    assert receptive_field([3, 3]) == ReceptiveField(size=5, jump=1, start=0)


def test_fifty_five_layers_leave_four():
    """SIZE: 5x5 kernels without padding take 55 layers from 224 to 4; one output of them all sees 221."""
    size, layers = 224, 0
    while size > 4:
        (size,) = conv_spec(1, (5,)).output_size((size,), (5,))
        layers += 1
    assert (size, layers) == (4, 55)
    assert receptive_field([5] * 55).size == 221 == 224 - 4 + 1


def test_the_formula_of_the_documents():
    """S16: R(l) = 1 + sum over j of (F(j) - 1) prod over i < j of S(i), with S(0) = 1."""
    kernels, strides = [7, 3, 2, 5, 1, 3], [2, 1, 2, 3, 1, 2]
    expected = 1 + sum((f - 1) * int(np.prod(strides[:j])) for j, f in enumerate(kernels))
    assert receptive_field(zip(kernels, strides, strict=True)) == ReceptiveField(expected, 24, 0)


def test_numpy_integers_are_integers():
    assert receptive_field([np.int64(3), (np.int32(3), 2)]) == ReceptiveField(5, 2, 0)


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [Layer(3, stride=2, padding=1)],
        [Layer(3, dilation=2, padding=2), Layer(2, stride=2)],
        [Layer(7, stride=2, padding=3), Layer(3, stride=2, padding=1), 3, Layer(1, stride=2)],
    ],
)
def test_the_field_is_the_hull_of_what_the_stack_reads(layers):
    """Follow every output back through the tap maps of the layers."""
    field = receptive_field(layers)
    size, sizes = 40, []
    specs = [Layer(*layer) if isinstance(layer, tuple) else Layer(layer) for layer in layers]
    for k, s, d, p in specs:
        sizes.append(size)
        (size,) = ConvSpec((s,), ((p, p),), (d,)).output_size((size,), (k,))
    for output in range(size):
        seen = {output}
        for (k, s, d, p), n in zip(reversed(specs), reversed(sizes), strict=True):
            spec = ConvSpec((s,), ((p, p),), (d,))
            seen = {i for o in seen for (i,) in taps(spec, (n,), (k,), (o,))}
        positions = field.positions(output)
        inside = [i for i in positions if 0 <= i < 40]
        assert (min(seen), max(seen)) == (inside[0], inside[-1])
        assert len(positions) == field.size


def test_taps_of_a_convolution_are_where_an_impulse_is_felt():
    x = np.zeros((5, 6))
    spec = conv_spec(2, (2, 3))
    for at in np.ndindex(5, 6):
        x[at] = 1.0
        felt = correlate(x, np.ones((2, 3)), "valid")
        x[at] = 0.0
        for o in np.ndindex(*felt.shape):
            assert (at in taps(spec, (5, 6), (2, 3), o)) == (felt[o] != 0)


def test_taps_of_a_pooling_are_where_a_peak_is_felt():
    """Padding is left out, and the order is that of the window's cells."""
    x, spec = np.zeros((1, 5, 6)), pool_spec(2, (2, 3), (2, 1), (1, 1), (2, 1), ceil_mode=True)
    for at in np.ndindex(5, 6):
        x[(0, *at)] = 1.0
        felt = max_pool2d(x, (2, 3), (2, 1), (1, 1), (2, 1), True)[0]
        x[(0, *at)] = 0.0
        for o in product(*map(range, felt.shape)):
            read = taps(spec, (5, 6), (2, 3), o)
            assert read == sorted(read)
            assert (at in read) == (felt[o] != 0)


BAD = [
    (lambda: receptive_field([3, "3"]), TypeError, r"`layers\[1\]` is '3', but must be a kernel size"),
    (lambda: receptive_field([(3, 1, 1, 1, 1)]), TypeError, r"`layers\[0\]` is \(3, 1, 1, 1, 1\)"),
    (lambda: receptive_field([((3, 3), 1)]), TypeError, "call once for each axis"),
    (lambda: receptive_field([True]), TypeError, r"`layers\[0\]` is True"),
    (lambda: receptive_field([0]), ValueError, r"`layers\[0\]` is 0, but kernel_size, stride and dilation"),
    (lambda: receptive_field([(3, 1, 1, -1)]), ValueError, "padding at least 0"),
    (lambda: taps(conv_spec(1, (3,)), (5,), (3,), (3,)), ValueError, r"`output_index` is \(3,\).*size \(3,\)"),
    (lambda: taps(conv_spec(1, (3,)), (5, 5), (3,), (0,)), ValueError, r"`input_size` is \(5, 5\), but must have 1"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
