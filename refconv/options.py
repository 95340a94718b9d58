"""The options that `refconv check` and `pytest properties/` share, and the subjects they describe."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, errors, find, settings
from hypothesis.database import DirectoryBasedExampleDatabase, InMemoryExampleDatabase

from refconv.adapters import ADAPTERS
from refconv.arrays import ARRAYS
from refconv.claims import CLAIMS, Claims
from refconv.interpreter import Interpreter, InterpreterError, found
from refconv.isolation import Isolated, Limits, isolated
from refconv.law import Effort
from refconv.spec import OPERATIONS, Case, Operation, conv_spec, pool_spec
from refconv.strategies import DTYPES, Scope, cases
from refconv.subject import Subject, TargetError, load, merge

__all__ = ["OPTIONS", "PROFILES", "effort", "failures", "file", "interpreter", "limits_of", "subjects"]

# Examples of a law with share 1. For PyTorch, on one core: about half a minute in quick, four minutes in thorough.
PROFILES = {"quick": 24, "standard": 160, "thorough": 240}
# Arguments that can be held fast: the least value, and whether each axis may have its own; None: true or false.
FIXES: dict[str, tuple[int, bool] | None] = {
    "kernel_size": (1, True),
    "stride": (1, True),
    "padding": (0, True),
    "output_padding": (0, True),
    "dilation": (1, True),
    "groups": (1, False),
    "input_size": (1, True),
    "batch": (0, False),
    "in_channels": (1, False),
    "out_channels": (1, False),
    "ceil_mode": None,
    "count_include_pad": None,
}
SHAPES = ("kernel_size", "input_size", "batch", "in_channels", "out_channels")  # what operands decide
SIGNAL_DTYPES = ("complex64", "complex128")

_CLAIM_HELP = {
    "accumulate": "format sums are carried in (default: the operands' own, float32 for narrower ones)",
    "algorithm": "error class: direct (default), winograd(m,r) or fft",
    "input_rounding": "operands are rounded before they are multiplied (default: none)",
    "epilogue": "bias added before the output rounding (fused, default) or after it (separate)",
    "nan_max": "a NaN in a max-pooling window is propagated (default) or dropped",
    "ties": "max pooling's gradient goes to the first maximum (default) or is split among the tied ones (any)",
    "ceil_rule": "extra: ceil mode keeps a last window that starts beyond the input (default: standard)",
    "subnormals": "subnormal numbers are kept (ieee), flushed (ftz), or either (default)",
}

# (flags, keywords of argparse's add_argument, which pytest's addoption takes as well)
OPTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--operation",), {"action": "append", "default": [], "metavar": "NAME", "help": "judge this operation only"}),
    (("--profile",), {"default": "quick", "metavar": "|".join(PROFILES), "help": "how many cases (default: quick)"}),
    (("--seed",), {"default": "0", "metavar": "N", "help": "another N draws other cases (default: 0)"}),
    (("--json",), {"default": None, "metavar": "FILE", "help": "write everything found to FILE"}),
    (("--html",), {"default": None, "metavar": "FILE", "help": "write a page to look at to FILE"}),
    (("--junit",), {"default": None, "metavar": "FILE", "help": "write a JUnit XML report to FILE"}),
    (
        ("--xfails",),
        {
            "default": None,
            "metavar": "FILE",
            "help": "laws known to fail, each with a reason (TOML): they do not decide",
        },
    ),
    (("--in-process",), {"action": "store_true", "help": "run the subject in the judge's own process (for debuggers)"}),
    (
        ("--python",),
        {
            "default": None,
            "metavar": "PATH",
            "help": "let this Python run the subject: it needs NumPy and what is judged alone, refconv not",
        },
    ),
    (("--timeout",), {"default": "10", "metavar": "SECONDS", "help": "longest time for one call (default: 10)"}),
    (
        ("--memory",),
        {"default": "8", "metavar": "GIB", "help": "most memory beyond the loaded subject's (default: 8; 0: any)"},
    ),
    (
        ("--failures",),
        {
            "default": None,
            "metavar": "FOLDER",
            "help": "keep violations there, for `refconv replay` (default of check: refconv-failures; or none)",
        },
    ),
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


def failures(option: Callable[[str], Any]) -> Path | None:
    """Where violations are kept: a check keeps them unless told otherwise, the laws under pytest where told to."""
    chosen = option("failures") or ("refconv-failures" if option("check") else "none")
    return None if chosen == "none" else Path(chosen)


def effort(option: Callable[[str], Any]) -> Effort:
    """How much is drawn, from `--profile` and `--seed`, after what `--failures` remembers."""
    profile, seed, folder = option("profile"), option("seed"), failures(option)
    if profile not in PROFILES:
        raise TargetError(f"--profile is {profile!r}, but must be one of {', '.join(PROFILES)}")
    known = InMemoryExampleDatabase() if folder is None else DirectoryBasedExampleDatabase(folder / "examples")
    try:
        return Effort(PROFILES[profile], int(seed), known=known)
    except ValueError:
        raise TargetError(f"--seed is {seed!r}, but must be an integer") from None


def subjects(
    targets: Sequence[str], option: Callable[[str], Any], apart: bool = False
) -> list[tuple[Subject, list[Operation]]]:
    """The subjects of the targets with all that the options say of them, and which operations are judged."""
    wanted = _operations(option("operation"))
    out = []
    for subject in _loaded(list(dict.fromkeys(targets)), option, apart):
        described = _described(subject, option)
        judged = [op for op in described.operations if not wanted or op.name in wanted]
        if not judged:
            raise TargetError(
                f"target {subject.name!r} has none of the operations {', '.join(sorted(wanted))}: "
                f"it has {', '.join(op.name for op in described.operations)}"
            )
        judged = _having_dtypes(judged, described)
        if described.scope.fix:
            _check_possible(judged, described.scope)
        out.append((described, judged))
    return out


def _loaded(targets: list[str], option: Callable[[str], Any], apart: bool) -> list[Subject]:
    """The subjects of targets, each source in a process of its own; refconv's own references stay in this one, unless
    they too are to be apart."""
    limits, python = limits_of(option), interpreter(option)
    if option("in_process"):
        return merge([load(target, ADAPTERS) for target in targets])
    sources: dict[str, list[str]] = {}
    for target in targets:
        sources.setdefault(target.rpartition("=")[2].partition(":")[0], []).append(target)
    subjects: list[Subject] = []
    for source, several in sources.items():
        adapter = ADAPTERS.get(source)
        here = adapter is not None and not (adapter.needs and (adapter.installed or python))  # or nowhere: it says so
        own = merge([load(t, ADAPTERS) for t in several]) if here else []
        ours = own and not (apart or python)
        subjects += own if ours else _with_classes(isolated(several, limits, python, adapter is not None), own)
    return subjects


def _with_classes(subjects: list[Subject], own: list[Subject]) -> list[Subject]:
    """Our references elsewhere; the class that the registry states for each call is known here."""
    return [replace(s, claim_for=known.claim_for) for s, known in zip(subjects, own, strict=True)] if own else subjects


def interpreter(option: Callable[[str], Any]) -> Interpreter | None:
    """The Python that `--python` names, asked what it is; None where there is none."""
    path = option("python")
    if path is None:
        return None
    if option("in_process"):
        raise TargetError("--python and --in-process exclude each other: the judge's own process has its own Python")
    try:
        return found(path)
    except InterpreterError as error:
        raise TargetError(f"--python {error}") from None


def limits_of(option: Callable[[str], Any]) -> Limits:
    """What one call may take, from `--timeout` and `--memory`."""
    numbers = {}
    for name, least, unit in (("timeout", 0.0, "seconds"), ("memory", -1.0, "GiB")):
        try:
            numbers[name] = float(option(name))
        except ValueError:
            numbers[name] = math.nan
        if not least < numbers[name] < 1e6:
            raise TargetError(f"--{name} is {option(name)!r}, but must be a number of {unit}")
    memory = 0 if option("device") != "cpu" else int(numbers["memory"] * 2**30)  # CUDA reserves address space
    return Limits(numbers["timeout"], memory)


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
    scope = replace(subject.scope, fix=_held(subject, _fixes(option("fix"))), ceil_rule=claims.ceil_rule)
    if option("dtype"):
        scope = replace(scope, dtypes=_dtypes(option("dtype")))
    array, layout = option("array") or subject.array, option("layout")
    for name, value, choices in (("array", array, ARRAYS), ("layout", layout, ("NCHW", "NHWC"))):
        if value not in choices:
            raise TargetError(f"--{name} is {value!r}, but must be one of {', '.join(choices)}")
    if subject.interpreter is None or array == "numpy":
        _check_device(array, option("device"))
    claim_for = subject.claim_for if "algorithm" not in said else None
    described = replace(
        subject, claims=claims, scope=scope, array=array, layout=layout, device=option("device"), claim_for=claim_for
    )
    if described.interpreter:
        _check_there(described)
    return described


def _check_there(subject: Subject) -> None:
    """The arrays can be made where the subject is."""
    assert isinstance(subject, Isolated) and subject.interpreter is not None
    for dtype in subject.scope.dtypes:
        if unable := subject.unable(dtype):
            needs = "ml_dtypes" if subject.array == "numpy" else subject.array
            path = subject.interpreter.path
            raise TargetError(
                f"--python is {path}, but {subject.array} arrays of dtype {dtype} on {subject.device} cannot be made "
                f"there: {unable} (it may need {needs}: {path} -m pip install {needs})"
            )


def _check_device(array: str, device: str) -> None:
    """The arrays can be made, on the device."""
    library = ARRAYS[array]
    if array == "numpy":
        if device != "cpu":
            raise TargetError(f"--device is {device!r}, but must be cpu for numpy arrays: --array torch has others")
        return
    if find_spec(array) is None:
        raise TargetError(f"--array {array} needs {array}: pip install 'refconv[{array}]'")
    if device == "cpu":
        if library.device != "cpu":
            raise TargetError(f"--device is 'cpu', but {array} has no arrays there: --device {library.device}")
        return  # which the judge's own process need not load the library for: it takes seconds
    try:
        library.back(library.there(np.zeros(1, np.float32), device))
    except Exception as error:  # each backend has its own
        said = str(error).partition("\n")[0]
        raise TargetError(f"--device is {device!r}, but {array} cannot use it: {said}") from None


def _having_dtypes(judged: Sequence[Operation], subject: Subject) -> list[Operation]:
    """Complex numbers are for `convolve` and `correlate` alone."""
    real = any(dtype not in SIGNAL_DTYPES for dtype in subject.scope.dtypes)
    out = [op for op in judged if real or op.rank == 0]
    if not out:
        raise TargetError(
            f"--dtype is {', '.join(subject.scope.dtypes)}, but must be one of {', '.join(DTYPES)} "
            f"for {', '.join(op.name for op in judged)}"
        )
    return out


def file(option: Callable[[str], Any], name: str) -> Path | None:
    """Where an option says that what was found is written; that it can be is known before anything is judged."""
    if option(name) is None:
        return None
    path = Path(option(name))
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        if path.exists() and not path.is_file():
            return path  # a device or a pipe
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        said = error.strerror or str(error)
        raise TargetError(f"--{name} is {str(path)!r}, but cannot be written: {said[:1].lower()}{said[1:]}") from None
    return path


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
        if name in out:
            raise TargetError(f"--fix is given twice for {name}: {out[name]} and {text}")
        out[name] = _value(name, text)
    return out


def _held(subject: Subject, fixes: dict[str, Any]) -> dict[str, Any]:
    """What a layer holds fast by itself, and what is held fast besides."""
    for name in fixes.keys() & subject.held.keys():
        given, own = fixes[name], subject.held[name]
        if own not in (given, (given,) * (len(own) if isinstance(own, tuple) else 1)):
            raise TargetError(f"--fix is given for {name}, but {subject.name} has {name}={own!r}: change the layer")
    return {**fixes, **subject.held}


def _value(name: str, text: str) -> Any:
    limits = FIXES[name]
    if limits is None:
        if text.lower() not in ("true", "false"):
            raise TargetError(f"--fix is '{name}={text}', but `{name}` must be true or false")
        return text.lower() == "true"
    if name == "padding" and text in ("same", "valid"):
        return "same" if text == "same" else 0
    least, several = limits
    must = f"an integer of at least {least}"
    must += ", or one for each axis, as 3,5" * several + ", or same or valid" * (name == "padding")
    try:
        values = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        values = ()
    if not values or min(values) < least or (len(values) > 1 and not several):
        raise TargetError(f"--fix is '{name}={text}', but `{name}` must be {must}")
    return values if len(values) > 1 else values[0]


def _check_possible(judged: Sequence[Operation], scope: Scope) -> None:
    """Draw a few cases: what cannot be built is said now, in one line."""
    for name in scope.fix:
        if not any(_takes(op, name) for op in judged):
            raise TargetError(f"--fix is given for {name}, but no operation judged has it: {_names(judged)}")
    for op in judged:
        said = ", ".join(f"{name}={value}" for name, value in scope.fix.items() if _takes(op, name))
        try:
            _check_arguments(op, scope)
            find(cases(op, scope), _without_output, settings=_FEW, random=Random(0))
        except errors.NoSuchExample:
            continue
        except (ValueError, TypeError, KeyError, IndexError, ZeroDivisionError, errors.HypothesisException) as error:
            raise TargetError(f"--fix {said} is impossible for {op.name}: {error}") from None
        raise TargetError(f"--fix {said} is impossible for {op.name}: no output is left")


def _takes(op: Operation, name: str) -> bool:
    return name in op.arguments or (op.rank > 0 and name in SHAPES)


def _names(operations: Sequence[Operation]) -> str:
    names = ", ".join(op.name for op in operations[:3])
    return names + f" and {len(operations) - 3} more" * (len(operations) > 3)


def _without_output(case: Case) -> bool:
    return any(n < 0 for shape in case.shapes.values() for n in shape)


_FEW = settings(  # the first case takes long: a covering design is made for it
    max_examples=30, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), deadline=None
)


def _check_arguments(op: Operation, scope: Scope) -> None:
    """The fixed arguments are ones that the operation can have."""
    fix = scope.fix
    if op.rank == 0:
        return
    for name, value in fix.items():
        if isinstance(value, tuple) and len(value) != op.rank and _takes(op, name):
            raise ValueError(f"`{name}` has {len(value)} values, but must have one, or one for each of {op.rank} axes")
    kernel = fix.get("kernel_size", 1)
    window = {n: fix[n] for n in ("stride", "padding", "dilation") if n in fix}
    if "pool" in op.kind:
        pool_spec(op.rank, kernel if "kernel_size" in fix else 2 * max(1, _largest(fix.get("padding", 0))), **window)
        return
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * op.rank
    conv_spec(op.rank, sizes, **window, groups=fix.get("groups", 1))
    for name in ("in_channels", "out_channels"):
        if name in fix and fix[name] % fix.get("groups", 1):
            raise ValueError(f"`groups` (={fix['groups']}) must divide `{name}` (={fix[name]})")


def _largest(value: Any) -> int:
    return max(value) if isinstance(value, tuple) else value if isinstance(value, int) else 0
