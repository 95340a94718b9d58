"""The options that `refconv check` and `pytest properties/` share, and the subjects they describe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, errors, find, settings

from refconv.adapters import ADAPTERS
from refconv.bound import CLAIMS, Claims
from refconv.law import Effort
from refconv.spec import OPERATIONS, Case, Operation, conv_spec, pool_spec
from refconv.strategies import DTYPES, Scope, cases
from refconv.subject import ARRAYS, Subject, TargetError, load, merge

__all__ = ["OPTIONS", "PROFILES", "effort", "subjects"]

# Examples of a law with share 1: about 15 seconds, 2 minutes and 6 minutes for PyTorch on two cores.
PROFILES = {"quick": 24, "standard": 160, "thorough": 400}
FIXES = (
    "kernel_size",
    "stride",
    "padding",
    "output_padding",
    "dilation",
    "groups",
    "input_size",
    "batch",
    "in_channels",
    "out_channels",
    "ceil_mode",
    "count_include_pad",
)
SIGNAL_DTYPES = ("complex64", "complex128")

_CLAIM_HELP = {
    "accumulate": "format sums are carried in (default: the operands' own, float32 for narrower ones)",
    "algorithm": "error class: direct (default), winograd(m,r) or fft",
    "input_rounding": "operands are rounded before they are multiplied (default: none)",
    "epilogue": "bias added before the output rounding (fused, default) or after it (separate)",
    "nan_max": "a NaN in a max-pooling window is propagated (default) or dropped",
    "ties": "max pooling's gradient goes to the first maximum (default) or is split among the tied ones (any)",
    "ceil_rule": "ceil mode's last window starts inside the input or its leading padding (standard) or not (extra)",
    "subnormals": "subnormal numbers are kept (ieee), flushed (ftz), or either (default)",
}

# (flags, keywords of argparse's add_argument, which pytest's addoption takes as well)
OPTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--operation",), {"action": "append", "default": [], "metavar": "NAME", "help": "judge this operation only"}),
    (("--profile",), {"default": "quick", "metavar": "|".join(PROFILES), "help": "how many cases (default: quick)"}),
    (("--seed",), {"default": "0", "metavar": "N", "help": "another N draws other cases (default: 0)"}),
    (("--json",), {"default": None, "metavar": "FILE", "help": "write everything found to FILE"}),
    (("--array",), {"default": None, "metavar": "|".join(ARRAYS), "help": "arrays the subject takes"}),
    (("--device",), {"default": "cpu", "metavar": "NAME", "help": "device of the operands (default: cpu)"}),
    (
        ("--dtype",),
        {
            "action": "append",
            "default": [],
            "metavar": "NAME",
            "help": "float32, float64, float16, bfloat16; complex64, complex128 for convolve and correlate "
            "(repeatable; default: float32 and float64)",
        },
    ),
    (("--layout",), {"default": "NCHW", "metavar": "NCHW|NHWC", "help": "NHWC: channels last, weights O, ..., I"}),
    (
        ("--fix",),
        {
            "action": "append",
            "default": [],
            "metavar": "ARGUMENT=VALUE",
            "help": f"build every case so (repeatable): {', '.join(FIXES)}",
        },
    ),
    *(
        ((f"--{name.replace('_', '-')}",), {"default": None, "metavar": "|".join(choices), "help": _CLAIM_HELP[name]})
        for name, choices in CLAIMS.items()
    ),
    (("--deterministic",), {"action": "store_true", "help": "claim: repeated calls agree bit for bit"}),
    (("--batch-invariant",), {"action": "store_true", "help": "claim: results do not depend on the batch's size"}),
]


def effort(option: Callable[[str], Any]) -> Effort:
    """How much is drawn, from `--profile` and `--seed`."""
    profile, seed = option("profile"), option("seed")
    if profile not in PROFILES:
        raise TargetError(f"--profile is {profile!r}, but must be one of {', '.join(PROFILES)}")
    try:
        return Effort(PROFILES[profile], int(seed))
    except ValueError:
        raise TargetError(f"--seed is {seed!r}, but must be an integer") from None


def subjects(targets: Sequence[str], option: Callable[[str], Any]) -> list[tuple[Subject, list[Operation]]]:
    """The subjects of the targets with all that the options say of them, and which operations are judged."""
    wanted = _operations(option("operation"))
    out = []
    for subject in merge([load(target, ADAPTERS) for target in targets]):
        described = _described(subject, option)
        judged = [op for op in described.operations if not wanted or op.name in wanted]
        if not judged:
            raise TargetError(
                f"target {subject.name!r} has none of the operations {', '.join(sorted(wanted))}: "
                f"it has {', '.join(op.name for op in described.operations)}"
            )
        if described.scope.fix:
            _check_possible(judged, described.scope)
        out.append((described, judged))
    return out


def _operations(names: Sequence[str]) -> set[str]:
    for name in names:
        if name not in OPERATIONS:
            raise TargetError(f"--operation is {name!r}, but must be one of {', '.join(OPERATIONS)}")
    return set(names)


def _described(subject: Subject, option: Callable[[str], Any]) -> Subject:
    said = {name: value for name in CLAIMS if (value := option(name)) is not None}
    said |= {name: True for name in ("deterministic", "batch_invariant") if option(name)}
    try:
        claims: Claims = replace(subject.claims, **said)
    except ValueError as error:
        raise TargetError(str(error)) from None
    scope = replace(subject.scope, fix=_fixes(option("fix")))
    if option("dtype"):
        scope = replace(scope, dtypes=_dtypes(option("dtype")))
    array, layout = option("array") or subject.array, option("layout")
    for name, value, choices in (("array", array, ARRAYS), ("layout", layout, ("NCHW", "NHWC"))):
        if value not in choices:
            raise TargetError(f"--{name} is {value!r}, but must be one of {', '.join(choices)}")
    claim_for = subject.claim_for if "algorithm" not in said else None
    return replace(
        subject, claims=claims, scope=scope, array=array, layout=layout, device=option("device"), claim_for=claim_for
    )


def _dtypes(names: Sequence[str]) -> tuple[str, ...]:
    known = (*DTYPES, *SIGNAL_DTYPES)
    for name in names:
        if name not in known:
            raise TargetError(f"--dtype is {name!r}, but must be one of {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def _fixes(given: Sequence[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or name not in FIXES:
            raise TargetError(f"--fix is {item!r}, but must be ARGUMENT=VALUE with one of {', '.join(FIXES)}")
        out[name] = _value(item, text)
    return out


def _value(item: str, text: str) -> Any:
    words = {"true": True, "false": False, "same": "same", "valid": 0}
    if text.lower() in words:
        return words[text.lower()]
    try:
        values = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise TargetError(
            f"--fix is {item!r}, but the value must be an integer, as 3, or one for each axis, as 3,5"
        ) from None
    return values if len(values) > 1 else values[0]


def _check_possible(judged: Sequence[Operation], scope: Scope) -> None:
    """Draw a few cases: what cannot be built is said now, in one line."""
    for op in judged:
        try:
            _check_arguments(op, scope)
            find(
                cases(op, scope),
                lambda case: min((min(s, default=1) for s in case.shapes.values()), default=1) < 0,
                settings=_FEW,
            )
        except errors.NoSuchExample:
            continue
        except (ValueError, TypeError, KeyError, IndexError, ZeroDivisionError, errors.HypothesisException) as error:
            said = ", ".join(f"{name}={value}" for name, value in scope.fix.items())
            raise TargetError(f"--fix {said} is impossible for {op.name}: {error}") from None
        raise TargetError(f"--fix {', '.join(scope.fix)} leaves {op.name} without an output")


def _without_output(case: Case) -> bool:
    return any(0 in shape[2:] for shape in case.shapes.values())


_FEW = settings(
    max_examples=30, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), deadline=None
)


def _check_arguments(op: Operation, scope: Scope) -> None:
    """The fixed arguments are ones that the operation can have."""
    fix = scope.fix
    if op.rank == 0:
        return
    kernel = fix.get("kernel_size", 1)
    window = {n: fix[n] for n in ("stride", "padding", "dilation") if n in fix}
    if "pool" in op.kind:
        pool_spec(op.rank, kernel if "kernel_size" in fix else 2 * max(1, _largest(fix.get("padding", 0))), **window)
        return
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * op.rank
    if len(sizes) != op.rank or min(sizes) < 1:
        raise ValueError(f"`kernel_size` is {kernel!r}, but must be one positive integer or {op.rank} of them")
    conv_spec(op.rank, sizes, **window, groups=fix.get("groups", 1))
    for name in ("in_channels", "out_channels"):
        if name in fix and fix[name] % fix.get("groups", 1):
            raise ValueError(f"`groups` (={fix['groups']}) must divide `{name}` (={fix[name]})")


def _largest(value: Any) -> int:
    return max(value) if isinstance(value, tuple) else int(value)
