"""The strictest precision class that explains every result seen: what a subject computes as, whatever it claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from refconv import judge
from refconv.claims import Claims
from refconv.judge import Results, Violation
from refconv.spec import Case

__all__ = ["LADDERS", "Ladder", "Rung"]


@dataclass(frozen=True)
class Rung:
    """A precision class: how it reads, and the claims that make it so."""

    words: str
    claims: Mapping[str, Any]

    @property
    def options(self) -> str:
        """The options that claim it; empty for what is expected of everybody."""
        return " ".join(f"--{name.replace('_', '-')} {_quoted(value)}" for name, value in self.claims.items())


def _quoted(value: str) -> str:
    return f"'{value}'" if "(" in value else value


def _winograd(m: int) -> Rung:
    return Rung(f"Winograd F({m}, 3)", {"algorithm": f"winograd({m},3)"})


_TRANSFORMS = (*(_winograd(m) for m in (2, 4, 6)), Rung("fast Fourier transforms", {"algorithm": "fft"}))
_TENSOR_CORE = Rung("tensor-core accumulation", {"accumulate": "tensor-core"})
_HALF_SUMS = tuple(Rung(f"{name} accumulation", {"accumulate": name}) for name in ("float16", "bfloat16"))

# Strictest first; each admits what direct summation in the accumulator of the first rung gives.
LADDERS: dict[str, Sequence[Rung]] = {
    "float64": (
        Rung("float64, rounded to nearest", {}),
        *_TRANSFORMS,
        Rung("float32 accumulation", {"accumulate": "float32"}),
        *_HALF_SUMS,
    ),
    "float32": (
        Rung("float32, rounded to nearest", {}),
        _TENSOR_CORE,
        *_TRANSFORMS,
        Rung("TF32 operands", {"input_rounding": "tf32"}),
        Rung("TF32 operands, tensor-core accumulation", {"input_rounding": "tf32", "accumulate": "tensor-core"}),
        *_HALF_SUMS,
        Rung("bfloat16 operands", {"input_rounding": "bf16"}),  # for short sums the wider of the two
    ),
}
for _narrow in ("float16", "bfloat16"):
    LADDERS[_narrow] = (
        Rung(f"{_narrow} with float32 sums, bias fused", {}),
        Rung(f"{_narrow} with float32 sums, bias added after rounding", {"epilogue": "separate"}),
        _TENSOR_CORE,
        replace(_TENSOR_CORE, claims={"accumulate": "tensor-core", "epilogue": "separate"}),
        *_TRANSFORMS,
        Rung(f"{_narrow} accumulation", {"accumulate": _narrow}),
        Rung(f"{_narrow} accumulation, bias added after rounding", {"accumulate": _narrow, "epilogue": "separate"}),
    )


@dataclass
class Ladder:
    """For each dtype, the rung reached: descends when a result is not explained, and re-judges what made it descend."""

    reached: dict[str, int] = field(default_factory=dict)
    hard: dict[str, list[tuple[Case, Results]]] = field(default_factory=dict)

    def observe(self, case: Case, results: Results, claims: Claims) -> None:
        """Take one result into account; other claims of the subject (ties, NaN, subnormals) stay as they are."""
        dtype = case.dtype
        if dtype not in LADDERS:
            return
        rung, ladder, hard = self.reached.setdefault(dtype, 0), LADDERS[dtype], self.hard.setdefault(dtype, [])
        if rung < len(ladder) and not _explains(ladder[rung], case, results, claims):
            hard.append((case, results))
            while rung < len(ladder) and not all(_explains(ladder[rung], c, r, claims) for c, r in hard):
                rung += 1
            self.reached[dtype] = rung

    def classes(self) -> dict[str, Rung | None]:
        """The strictest class for each dtype; None where no class explains what was seen."""
        return {d: LADDERS[d][i] if i < len(LADDERS[d]) else None for d, i in self.reached.items()}


def _explains(rung: Rung, case: Case, results: Results, claims: Claims) -> bool:
    plain = replace(claims, accumulate="", algorithm="direct", input_rounding="none", epilogue="fused")
    try:
        judge.within(results, case, replace(plain, **rung.claims))
    except Violation:
        return False
    return True
