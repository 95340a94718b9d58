"""What a subject says of itself, so that it is judged against that: the words of the command line and of attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from refconv.spec import Sizes

__all__ = ["CLAIMS", "Claims", "parse_winograd"]

# What each claim may say; `algorithm` also takes winograd(m,r).
CLAIMS: dict[str, tuple[str, ...]] = {
    "accumulate": ("float64", "float32", "float16", "bfloat16", "tensor-core"),
    "algorithm": ("direct", "winograd(m,r)", "fft"),
    "input_rounding": ("none", "tf32", "bf16"),
    "epilogue": ("fused", "separate"),
    "nan_max": ("propagate", "drop"),
    "ties": ("first", "any"),
    "ceil_rule": ("standard", "extra"),
    "subnormals": ("either", "ieee", "ftz"),
}


@dataclass(frozen=True)
class Claims:
    """What a subject says of itself; the defaults are what is expected of one that says nothing.

    `accumulate` is empty for "at least the operands' dtype, float32 for narrower ones".
    """

    accumulate: str = ""
    algorithm: str = "direct"
    input_rounding: str = "none"
    epilogue: str = "fused"
    nan_max: str = "propagate"
    ties: str = "first"
    ceil_rule: str = "standard"
    subnormals: str = "either"
    deterministic: bool = False
    batch_invariant: bool = False

    def __post_init__(self) -> None:
        for name, choices in CLAIMS.items():
            value = getattr(self, name)
            if name == "algorithm" and value.startswith("winograd"):
                parse_winograd(value)
            elif value not in choices and not (name == "accumulate" and value == ""):
                raise ValueError(f"claim `{name}` is {value!r}, but must be one of {', '.join(choices)}")


def parse_winograd(claim: str) -> tuple[Sizes, Sizes]:
    """The outputs m and taps r of a Winograd claim, one pair for all axes or one for each.

    >>> parse_winograd("winograd(4,3)"), parse_winograd("winograd(4x2,3x5)")
    (((4,), (3,)), ((4, 2), (3, 5)))
    """
    match = re.fullmatch(r"winograd\((\d+(?:x\d+)*),\s*(\d+(?:x\d+)*)\)", claim)
    if match is None:
        raise ValueError(f"claim `algorithm` is {claim!r}, but a Winograd class is written winograd(m,r)")
    m, r = (tuple(map(int, part.split("x"))) for part in match.groups())
    if len(m) != len(r) or min(m + r) < 1:
        raise ValueError(f"claim `algorithm` is {claim!r}, but m and r must be positive, with one of each per axis")
    return m, r
