"""The ports of other checkers: each accepts a right subject, convicts an obviously wrong one, and is in PEERS.md."""

import re

import ml_dtypes
import numpy as np
import pytest

from refconv.spec import OPERATIONS
from tests import peers, score

# Computed in float64 and rounded once: within every rule.
PLAIN = f"""
import sys
sys.path.insert(0, {str(score.CORPUS)!r})
import numpy as np
import _base

def wide(*arrays):
    return [a if a is None else a.astype(np.float64) for a in arrays]

def conv1d(input, weight, bias=None, *rest, **named):
    return _base.conv(*wide(input, weight, bias), *rest, **named).astype(input.dtype)

def conv1d_backward(grad_output, input, weight, *rest, **named):
    results = _base.conv_backward(*wide(grad_output, input, weight), *rest, **named)
    return tuple(a.astype(input.dtype) for a in results)
"""
ZEROS = '''"""Zeros.
Class: state. Trigger: always. Rarity: common.
"""
''' + PLAIN.replace("return _base.conv(", "return 0 * _base.conv(").replace("tuple(a.astype", "tuple(0 * a.astype")
# A refusal of some calls, by an exception that does not say that they are not implemented.
PICKY = PLAIN.replace("    return _base.conv(", "    if input.shape[0] > 1: raise ValueError\n    return _base.conv(")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What every port says of four subjects."""
    folder = tmp_path_factory.mktemp("corpus")
    paths = [score.CORPUS / "right" / "tap_by_tap.py"]
    for kind, name, text in (("right", "plain", PLAIN), ("right", "picky", PICKY), ("wrong", "zeros", ZEROS)):
        (folder / kind).mkdir(exist_ok=True)
        paths.append(folder / kind / f"{name}.py")
        paths[-1].write_text(text)
    return list(peers.findings(paths, list(peers.CHECKERS), jobs=1))


@pytest.mark.parametrize("checker", peers.CHECKERS)
def test_a_checker_tells_right_from_zeros(said, checker):
    """The one is accepted, the other convicted by its values."""
    of = {f.name: f for f in said if f.checker == checker}
    assert of["plain"].status == "accepted", of["plain"].reason
    assert of["zeros"].status == "convicted" and not of["zeros"].reason.startswith("raised"), of["zeros"].reason
    assert of["zeros"].label == "state"


def test_the_default_rule_accuses_a_float32_kernel(said):
    """Why `random shapes` accuses: where terms cancel, 1e-5 of the result is less than its roundings."""
    of = {f.checker: f.status for f in said if f.name == "tap_by_tap"}
    assert of.pop("random shapes") == "convicted"
    assert set(of.values()) == {"accepted", "not run"}
    assert [c for c, status in of.items() if status == "not run"] == ["gradcheck, backward"]


def test_a_refusal_among_answers_convicts(said):
    """A checker with one batch size knows nothing of it; the others take the exception for a fault."""
    of = {f.checker: (f.status, f.reason) for f in said if f.name == "picky"}
    assert of["benchdnn integers"][0] == "convicted" and of["benchdnn integers"][1].startswith("raised ValueError")
    assert of["KernelBench"][0] == of["KernelBench, older rule"][0] == "not run"


def test_the_rules():
    """Each by its formula, at its edge."""
    one = np.ones((2, 2), np.float32)
    older, current = peers.kernelbench(lambda dtype: 1e-2), peers.kernelbench(lambda dtype: 1e-4)
    assert older(one * 1.019, one) and not older(one * 1.021, one)
    assert current(one * 1.00019, one) and not current(one * 1.00021, one)
    assert not current(one.astype(np.float64), one) and not current(one[:1], one)
    default = peers.by_size(1e-8, 1e-5)
    assert default(one[:1], one) and default(one.astype(np.float64), one)
    assert not default(one * np.nan, one * np.nan) and default(one * np.inf, one * np.inf)
    assert not default(one * 0, one * 2e-8) and default(one * 0, one * 1e-8)
    assert peers.close_by_default(one, one) and not peers.close_by_default(one.astype(np.float64), one)
    assert not peers.close_by_default(one * np.float32(1.0001), one)
    assert (
        peers.exact(-0 * one, 0 * one) and not peers.exact(np.nextafter(one, 2), one) and not peers.exact(one[0], one)
    )
    ten = 10 * 2.0**-23
    assert peers.ten_units(one * np.float32(1 + ten), one) and not peers.ten_units(one * np.float32(1 + 2 * ten), one)


@pytest.mark.parametrize("dtype", peers.RANGES)
@pytest.mark.parametrize("name", ["conv1d", "conv2d_backward", "conv_transpose2d"])
def test_integers_are_thinned(name, dtype):
    """Whole numbers in the range of their dtype, the first positive; the more terms, the more zeros."""
    source, weight, _, digits = peers.RANGES[dtype]
    trials = peers.integer_trials(OPERATIONS[name], dtype)
    assert len(trials) >= len(peers.LAYERS)
    zeros = []
    for trial in trials:
        arrays = [a.astype(np.float64) for a in trial.operands]
        assert all((a == np.rint(a)).all() and a.flat[0] > 0 and abs(a).max() <= 32 for a in arrays)
        zeros.append((arrays[0] == 0).mean())
    assert 2**digits // (source * weight) == {"float16": 256, "bfloat16": 16}.get(dtype, 16384)
    if dtype in ("float32", "float64"):
        assert np.median(zeros) < 0.1  # no sum here is long enough
    else:
        assert max(zeros) > (0.8 if dtype == "bfloat16" else 0.1)


def test_random_shapes_are_a_hundred():
    """In turn in each dtype, forward and gradients, signals too."""
    for name in ("conv2d", "max_pool1d_backward", "convolve"):
        first, second = peers.random_trials(OPERATIONS[name], ("float32", "bfloat16"))
        assert len(first) == len(second) == 50
        assert {t.expected[0].dtype for t in second} == {np.dtype(ml_dtypes.bfloat16)}


def test_the_page_names_every_checker():
    """PEERS.md has a row for each in its table, and says in words what each is."""
    words, _, measured = peers.PAGE.read_text().partition("<!-- measured -->")
    for checker in (*peers.CHECKERS, peers.OWN):
        assert re.search(rf"^\| {re.escape(checker)} \| \d+/\d+ \|", measured, re.M), checker
        assert f"**{checker}**" in words, checker
    assert peers.ANY in measured and peers.TRUSTED in measured


def test_a_report_counts():
    """Convicted of those that were run; what no other finds; refusals apart from values."""
    rows = [
        ("random shapes", "wrong", "a", "bias", "convicted", ""),
        ("random shapes", "wrong", "b", "bias", "accepted", ""),
        ("random shapes", "wrong", "c", "state", "not run", ""),
        ("random shapes", "right", "d", "", "convicted", "raised ValueError: x"),
        (peers.OWN, "wrong", "a", "bias", "accepted", ""),
        (peers.OWN, "wrong", "b", "bias", "convicted", "a_law"),
        (peers.OWN, "wrong", "c", "state", "convicted", "a_law"),
        (peers.OWN, "wrong", "e", "state", "accepted", ""),
        (peers.OWN, "right", "d", "", "accepted", ""),
    ]
    text = peers.report([peers.Finding(*row, 1.0) for row in rows], 8)
    assert "| random shapes | 1/2 | 1/1 | - | - | - | 1/2 |" in text
    assert f"| {peers.OWN} | 2/4 | 0/1 | - | - | - | 1/2 |" in text
    assert "Convicted by refconv and by no other (2):\n\n- bias: `b`\n- state: `c`" in text
    assert "Convicted by another and not by refconv (1): `a`." in text
    assert "Convicted by another that accuses less than half of the right ones and not by refconv (0): none." in text
    assert "Convicted by nobody (1): `e`." in text
    assert "- random shapes: by value none; because the call is refused `d`" in text
