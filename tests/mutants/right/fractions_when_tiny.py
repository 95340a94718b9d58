"""Computes tiny finite problems in fractions and all others plainly."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def exactly(values, factors, bias):
    return float(sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(values, factors, strict=True)), bias))


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    plain = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    finite = all(np.isfinite(a.astype(float)).all() for a in (input, weight, plain))
    if groups != 1 or plain.size * weight[0].size > 400 or not finite or (bias is not None and input.itemsize < 4):
        return plain
    added = [Fraction(0)] * len(weight) if bias is None else [Fraction(float(b)) for b in bias]
    out = np.empty(plain.shape)
    for n, o, p in np.ndindex(*out.shape):
        out[n, o, p] = exactly(wins[n, :, p].ravel(), weight[o].ravel(), added[o])
    return out.astype(input.dtype)
