"""Writes a violation as a folder from which it can be seen again: the call, a script of its own, and for `replay`."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from refconv import bound, chapters, exact, interpreter, isolation
from refconv.adapters import ADAPTERS
from refconv.claims import Claims
from refconv.dtypes import Array, numpy_dtype
from refconv.interpreter import Interpreter, InterpreterError
from refconv.judge import Violation
from refconv.law import Effort, Judged, Record
from refconv.spec import OPERATIONS, Case
from refconv.subject import Declined, Subject, load

__all__ = ["FolderError", "absolute", "described", "kept", "replay", "write"]

CALL, OPERANDS, SCRIPT = "call.json", "operands.npz", "reproduce.py"
SCHEMA = 2
EVIDENCE = ("got", "exact", "allowed", "wrong", "of")  # of a violation, beside its arrays


class FolderError(ValueError):
    """A folder that holds no violation."""


def write(record: Record, subject: Subject, folder: Path) -> Path:
    """The violation of a record in a folder of its own inside `folder`, which takes the place of an older one."""
    violation = record.violation
    assert violation is not None and violation.case is not None
    shown, values = violation.case, dict(record.values)
    drawn = values.pop("case", None)
    arrays = _packed("operand", shown)
    if isinstance(drawn, Case) and drawn is not shown:
        arrays |= _packed("drawn", drawn)
    for number, case in enumerate(violation.before):
        arrays |= _packed(f"before{number}", case)
    arrays |= _expected(violation, subject)
    arrays |= {f"compared_{name}": _storable(a) for name, a in violation.compared.items()}
    about = {
        "schema": SCHEMA,
        "target": absolute(subject.name),
        "law": record.law,
        "chapter": record.chapter,
        "reason": violation.reason,
        "result": violation.result or shown.operation.results[0],
        "index": list(violation.index),
        **{name: _plain(getattr(violation, name)) for name in EVIDENCE},
        "before": [described(case) for case in violation.before],
        "case": described(shown),
        "drawn": described(drawn) if isinstance(drawn, Case) and drawn is not shown else None,
        "values": {name: _plain(value) for name, value in values.items()},
        "claims": {name: getattr(subject.claims, name) for name in subject.claims.__dataclass_fields__},
        "array": subject.array,
        "device": subject.device,
        "layer": bool(subject.held),
        "layout": subject.layout,
        "interpreter": subject.interpreter and vars(subject.interpreter),
    }
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder, prefix=".new-"))
    np.savez(made / OPERANDS, allow_pickle=False, **arrays)
    (made / CALL).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    derived = shown.operation.name not in subject.functions
    (made / SCRIPT).write_text(_script(about, shown, violation.before, derived), encoding="utf-8")
    made.chmod(0o755)
    place = folder / re.sub(r"[^\w.-]+", "_", f"{Path(subject.name).name}-{record.operation}-{record.law}")[:120]
    if place.exists():
        shutil.rmtree(place)
    return made.rename(place)


def kept(folder: Path) -> Violation:
    """The violation that was written, to be shown; nothing is asked again. Raises FolderError."""
    about, arrays = _read(folder)
    compared = {name.removeprefix("compared_"): a for name, a in arrays.items() if name.startswith("compared_")}
    said = {name: _value(about.get(name)) for name in EVIDENCE}
    said |= {name: said[name] or 0 for name in ("wrong", "of")}
    case, where = _case(about["case"], arrays, "operand"), {"result": about["result"], "index": tuple(about["index"])}
    return Violation(about["reason"], case, **where, **said, compared=compared)


def replay(
    folder: Path, properties: Path, in_process: bool = False, python: Interpreter | None = None
) -> tuple[Violation | None, str]:
    """Asks the law again for what it was broken by; the violation, or None with what was found instead.

    Another Python runs the subject where one is given, or one did when the violation was found.
    """
    about, arrays = _read(folder)
    shown = _case(about["case"], arrays, "operand")
    values = {name: _value(value) for name, value in about["values"].items()}
    values["case"] = _case(about["drawn"], arrays, "drawn") if about["drawn"] else shown
    subject = _subject(about, in_process, python)
    law = _law(properties / f"test_{about['chapter']}.py", f"test_{about['law']}")
    judged = Judged(subject, OPERATIONS[about["case"]["operation"]], Effort())
    judged.warm([_case(said, arrays, f"before{number}") for number, said in enumerate(about["before"])])
    try:
        law.again(judged, values)
    except Violation as violation:
        violation.case = violation.case or values["case"]
        return violation, "is broken again"
    except Declined as declined:
        return None, f"the call is declined now: {declined}"
    return None, "holds now"


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    try:
        about = json.loads((folder / CALL).read_text(encoding="utf-8"))
        with np.load(folder / OPERANDS, allow_pickle=False) as file:
            arrays = dict(file)
        if not isinstance(about, dict) or about.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
    except (OSError, ValueError, KeyError) as error:
        raise FolderError(f"{str(folder)!r} holds no violation that can be replayed: {error}") from None
    return about, arrays


def _subject(about: dict[str, Any], in_process: bool, python: Interpreter | None) -> Subject:
    target, before = about["target"], about.get("interpreter")
    if before and not (in_process or python):
        try:
            python = interpreter.found(before["path"])
        except InterpreterError as error:
            raise FolderError(f"the Python that ran {target!r} {error}: name another with --python") from None
    here = in_process or (target in ADAPTERS and not ADAPTERS[target].needs and not python)
    named = target in ADAPTERS
    found = [load(target, ADAPTERS)] if here else isolation.isolated([target], isolation.Limits(), python, named)
    claims = Claims(**about["claims"])
    return replace(found[0], claims=claims, **{name: about[name] for name in ("array", "device", "layout")})


def _law(path: Path, name: str) -> Any:
    if not path.is_file():
        raise FolderError(f"this version of refconv has no chapter {path.stem.removeprefix('test_')!r}")
    module = chapters.load(path)
    if not hasattr(module, name):
        raise FolderError(f"this version of refconv has no law {name.removeprefix('test_')!r}")
    return getattr(module, name)


# ------------------------------------------------------------------------------------------- plain data


def absolute(target: str) -> str:
    """A file's name from the root, so that the folder can be used from anywhere."""
    operation, equals, place = target.rpartition("=")
    source, colon, name = place.partition(":")
    if source.endswith(".py") and Path(source).is_file():
        source = str(Path(source).resolve())
    return f"{operation}{equals}{source}{colon}{name}"


def described(case: Case) -> dict[str, Any]:
    """All of a call but its operands, in plain types."""
    return {
        "operation": case.operation.name,
        "arguments": {name: _plain(value) for name, value in case.arguments.items()},
        "dtype": case.dtype,
        "family": case.family,
        "layout": case.layout,
    }


def _storable(array: Any) -> Array:
    """In a format of NumPy's own that holds the same values."""
    return np.asarray(array).astype(np.float32) if np.asarray(array).dtype == numpy_dtype("bfloat16") else array


def _packed(kind: str, case: Case) -> dict[str, Array]:
    """Arrays that need no pickle: bfloat16 as the integers that its bits are."""
    wide = {name: a.view(np.uint16) if case.dtype == "bfloat16" else a for name, a in case.operands.items()}
    return {f"{kind}_{name}": a for name, a in wide.items()}


def _case(about: dict[str, Any], arrays: Mapping[str, Array], kind: str) -> Case:
    operation = OPERATIONS[about["operation"]]
    packed = {name: arrays[f"{kind}_{name}"] for name in operation.operands if f"{kind}_{name}" in arrays}
    operands = {name: a.view(numpy_dtype(about["dtype"])) for name, a in packed.items()}
    arguments = {name: _value(value) for name, value in about["arguments"].items()}
    return Case(operation, operands, arguments, about["dtype"], about["family"], about["layout"])


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return {"number": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_value(v) for v in value)
    return float(value["number"]) if isinstance(value, dict) else value


def _expected(violation: Violation, subject: Subject) -> dict[str, Array]:
    """The exact value and the allowed error of each result, where the call has them."""
    case = violation.case
    assert case is not None
    finite = all(np.isfinite(a.astype(np.complex128)).all() for a in case.operands.values())
    try:
        if not finite or any(min(shape, default=1) < 0 for shape in case.shapes.values()):
            return {}
        forms = {} if case.operation.kind == "max_pool" else exact.forms(case)
        truth = exact.values(case, forms)
        room = bound.allowed(case, subject.claims_for(case), forms)
    except ValueError:  # a call that must be refused
        return {}
    expected: dict[str, Array] = {}
    for name in case.operation.results:
        if name in truth:
            expected |= {f"exact_{name}": truth[name].high, f"allowed_{name}": room[name]}
        else:  # a complex number, far from the exact one by what both of its parts may be
            real, imag = f"{name}.real", f"{name}.imag"
            expected[f"exact_{name}"] = truth[real].high + 1j * truth[imag].high
            expected[f"allowed_{name}"] = np.hypot(room[real], room[imag])
    return expected


# --------------------------------------------------------------------------------------------- the script

# A short name is none of a module's: its functions are those of refconv's translation.
_SHORT = [
    "elif target in (short := importlib.import_module('refconv.adapters').ADAPTERS):",
    "    module = type('Short', (), {n: staticmethod(f) for n, f in short[target]().functions.items()})",
]
_IMPORTS = {"torch": ["import torch"], "jax": ["import jax; jax.config.update('jax_enable_x64', True)"]}
_HANDED = {"torch": "torch.from_numpy(np.array(a))", "jax": "jax.numpy.array(a)"}

# An array of the same values whose memory is arranged otherwise, from the contiguous array `a`.
_LAYOUTS = {
    "contiguous": "a.copy()",
    "transposed": "np.array(a.T, order='C').T",
    "strided": "np.repeat(a, 2, axis=-1)[..., ::2]",
    "inset": "np.pad(a, 1, constant_values=np.nan)[(slice(1, -1),) * a.ndim]",
    "reversed": "np.flip(np.flip(a).copy())",
    "read-only": "np.broadcast_to(a, a.shape)",
}


def _script(about: dict[str, Any], case: Case, before: Sequence[Case], derived: bool) -> str:
    library, swapped = about["array"], about["layout"] == "NHWC"
    short = about["target"] in ADAPTERS and about["target"] != "torch"
    module = "torch.nn.functional" if about["target"] == "torch" else None
    earlier = [f"({_arguments(f'before{number}', one)})" for number, one in enumerate(before)]
    other = about["interpreter"]
    program = shlex.quote(other["path"]) if other else "python"
    packed = "bfloat16" in (case.dtype, *(one.dtype for one in before))
    lines = [
        f'"""{case.operation.name}: {_safe(about["reason"])}.',
        "",
        f"Law: {about['law'].replace('_', ' ')}; one call of it. {program} reproduce.py [TARGET]",
        '"""',
        "import importlib, importlib.util, json, sys",
        "from pathlib import Path",
        "import numpy as np",
        *(["import ml_dtypes"] if packed else []),
        *_IMPORTS.get(library, ()),
        "here = Path(__file__).parent",
        f'call, data = json.loads((here / "{CALL}").read_text()), np.load(here / "{OPERANDS}")',
        *(["print('found with', call['interpreter'], 'run with', sys.executable)"] if other else []),
        f"target = sys.argv[1] if len(sys.argv) > 1 else {module!r} or call['target']",
        "source, _, name = target.rpartition('=')[2].partition(':')",
        "if source.endswith('.py'):",
        "    spec = importlib.util.spec_from_file_location('subject', source)",
        "    module = importlib.util.module_from_spec(spec)",
        "    sys.path.append(str(Path(source).resolve().parent))",
        "    spec.loader.exec_module(module)",
        *_SHORT * short,
        "else:",
        "    module = importlib.import_module(source)",
        *(_layer(case, library == "torch") if about["layer"] else []),
        "def called(kind, names, arguments):",
        "    operands = [data[f'{kind}_{n}'] for n in names]",
        *(["    operands = [a.view('bfloat16') if a.dtype == 'uint16' else a for a in operands]"] if packed else []),
        *(["    operands = [np.moveaxis(a, 1, -1).copy() if a.ndim > 2 else a for a in operands]"] if swapped else []),
        f"    operands = [{_LAYOUTS[case.layout]} for a in operands]",
        "    kept = [np.array(a) for a in operands]",
        *(f"    {line}" for line in _calling(case, library, derived)),
        "    for n, a, b in zip(names, kept, operands):",
        "        if not np.array_equal(np.array(b.detach() if hasattr(b, 'detach') else b), a, equal_nan=True):",
        "            print('changed:', n)",
        f"    return {'[np.moveaxis(r, -1, 1) if r.ndim > 2 else r for r in results]' if swapped else 'results'}",
        *([f"for before in [{', '.join(earlier)}]:", "    called(*before)"] if earlier else []),
        f"for name, got in zip({list(case.operation.results)!r}, called({_arguments('operand', case)})):",
        "    print(name, 'got', got, sep='\\n')",
        "    if 'exact_' + name in data:",
        "        exact, allowed = data['exact_' + name], data['allowed_' + name]",
        "        print('exact', exact, 'allowed', allowed, sep='\\n')",
        "        if got.shape == exact.shape:",
        "            print('outside:', int((np.abs(got - exact) > allowed).sum()), 'of', got.size)",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _arguments(kind: str, case: Case) -> str:
    return f"{kind!r}, {list(case.operands)!r}, {dict(case.arguments)!r}"


def _calling(case: Case, library: str, derived: bool) -> list[str]:
    """The call; a gradient that the subject has no function for is derived by its library."""
    op = case.operation
    one, name = len(op.results) == 1, op.forward if derived else op.name
    call = f"getattr(module, name or {name!r})"
    own = f"{call}(*operands, **arguments)"
    found = f"results = {f'[{own}]' if one else own}"
    if library not in _HANDED:
        return [found]
    out = [f"operands = [{_HANDED[library]} for a in operands]"]
    if not derived:
        return [*out, found, "results = [np.array(r) for r in results]"]
    zeros = f", {library}{'.numpy' * (library == 'jax')}.zeros(len(operands[2]), dtype=operands[2].dtype)"
    leaves = f"(*operands[1:]{zeros if op.kind == 'conv_backward' else ''},)"
    if library == "jax":
        return [
            *out,
            f"_, back = jax.vjp(lambda *leaves: {call}(*leaves, **arguments), *{leaves})",
            "results = [np.array(g) for g in back(operands[0])]",
        ]
    return [
        *out,
        f"leaves = [a.requires_grad_() for a in {leaves}]",
        f"out = {call}(*leaves, **arguments)",
        "results = [g.numpy() for g in torch.autograd.grad(out, leaves, operands[0])]",
    ]


def _layer(case: Case, torch: bool) -> list[str]:
    """In place of a layer, a function that calls it with the operands as its weights; no bias is one of zeros."""
    if "pool" in case.operation.kind:
        return ["setattr(module, name, lambda x, layer=getattr(module, name), **given: layer(x))"]
    zeros = "torch.zeros(len(layer.bias), dtype=w.dtype)" if torch else "np.zeros(len(layer.bias), w.dtype)"
    biased = f"{{'weight': w, 'bias': {zeros} if b is None else b}}"
    own = f"{{'weight': w}} if getattr(layer, 'bias', None) is None else {biased}"
    lines = ["setattr(module, name, lambda x, w, b=None, layer=getattr(module, name), **given:"]
    if not torch:
        return [*lines, f"    vars(layer).update({own}) or layer(x))"]
    added = f"0 if b is None or layer.bias is not None else b.reshape(-1, *(1,) * {case.operation.rank})"
    return [*lines, f"    torch.func.functional_call(layer, {own}, (x,)) + ({added}))"]


def _safe(text: str) -> str:
    """Words of the subject's that end no string."""
    return "".join(c if c.isprintable() and c not in '"\\' else "'" for c in text)[:100]
