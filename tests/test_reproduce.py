"""A violation that was kept is seen again: by `refconv replay`, and by a script that needs no refconv."""

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refconv import cli, reproduce
from refconv.judge import Violation
from refconv.law import Effort
from refconv.spec import OPERATIONS, Case
from refconv.subject import load
from tests import score

PROPERTIES = Path(__file__).parents[1] / "properties"
WRONG = score.CORPUS / "wrong"
# Laws of every chapter, values that are not numbers, layouts, dtypes that NumPy has not, several results.
NAMES = [
    "kernel_flipped",
    "input_cached_by_ends",
    "workspace_border_stale",
    "max_drops_nan",
    "input_zeroed_border",
    "memory_order_assumed",
    "grad_bias_mean",
    "correlate_unconjugated",
    "max_grad_to_last",
    "groups_not_dividing_accepted",
    "double_result_for_single",
]


@cache
def _violation(name):
    """The first that a mutant commits, brought down to size."""
    one = score.subject(WRONG / f"{name}.py", apart=True)
    return next(r for r in score.records(one, Effort(160)) if r.status == "violated"), one


def _kept(name, folder):
    record, one = _violation(name)
    return record, reproduce.write(record, one, folder)


def _run(folder, *arguments):
    """Isolated from refconv: nothing but what the script imports, from another directory."""
    return subprocess.run(
        [sys.executable, str(folder / "reproduce.py"), *arguments], capture_output=True, text=True, cwd=folder.parent
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_is_broken_again(name, tmp_path):
    """For the same reason, and the subject mended holds."""
    record, folder = _kept(name, tmp_path)
    found, said = reproduce.replay(folder, PROPERTIES)
    assert found is not None and said == "is broken again"
    strip = [re.sub(r"\d+", "", v.reason) for v in (found, record.violation)]
    assert strip[0] == strip[1]
    assert {path.name for path in tmp_path.iterdir()} == {folder.name}  # nothing half-written


@pytest.mark.parametrize("name", NAMES)
def test_the_script_shows_it(name, tmp_path):
    """In at most 40 lines, without refconv; where there is an exact value, it says how much is outside."""
    record, folder = _kept(name, tmp_path)
    text = (folder / "reproduce.py").read_text()
    assert len(text.splitlines()) <= 40 and not re.search(r"import.*refconv|from refconv", text)
    done = _run(folder)
    if name in ("groups_not_dividing_accepted",):
        return
    assert done.returncode == 0, done.stderr
    assert "got" in done.stdout
    if record.violation.reason == "`output` is outside the allowed error" and record.law.startswith("every_element"):
        assert max(map(int, re.findall(r"outside: (\d+) of", done.stdout))) > 0, done.stdout
    assert ("changed: input" in done.stdout) == (name == "input_zeroed_border")


def test_no_pickle_is_needed_or_read(tmp_path):
    """The operands are plain arrays."""
    _, folder = _kept("kernel_flipped", tmp_path)
    with np.load(folder / "operands.npz", allow_pickle=False) as file:
        assert {"operand_input", "operand_weight", "exact_output", "allowed_output"} <= set(file)


def test_pytorch_is_called_with_tensors(tmp_path):
    """Forward and by its own differentiation."""
    from refconv.law import Record
    from refconv.spec import OPERATIONS, Case

    x, w = np.ones((1, 1, 4), np.float32), np.ones((1, 1, 2), np.float32)
    cases = {
        "conv1d": {"input": x, "weight": w},
        "conv1d_backward": {"grad_output": np.ones((1, 1, 3), np.float32), "input": x, "weight": w},
    }
    for name, operands in cases.items():
        record = Record("every_element_is_within_the_allowed_error", "oracle", "", "torch", name, True)
        record.violation = Violation("as if", Case(OPERATIONS[name], operands, {}, "float32"))
        folder = reproduce.write(record, load("torch", {"torch": lambda: _torch()}), tmp_path)
        done = _run(folder)
        assert done.returncode == 0, done.stderr
        assert set(re.findall(r"outside: (\d+) of", done.stdout)) == {"0"}
        assert reproduce.replay(folder, PROPERTIES) == (None, "holds now")


def test_a_short_name_is_called_through_its_translation(tmp_path):
    """The script finds the functions of an adapter; arrays of JAX are made there."""
    from refconv.adapters import ADAPTERS
    from refconv.law import Record
    from refconv.spec import OPERATIONS, Case

    operands = {"input": np.ones((1, 1, 4), np.float32), "weight": np.ones((1, 1, 2), np.float32)}
    record = Record("every_element_is_within_the_allowed_error", "oracle", "", "scipy-ndimage", "conv1d", True)
    record.violation = Violation("as if", Case(OPERATIONS["conv1d"], operands, {}, "float32"))
    done = _run(reproduce.write(record, ADAPTERS["scipy-ndimage"](), tmp_path))
    assert done.returncode == 0 and "outside: 0 of 3" in done.stdout, done.stderr
    text = (reproduce.write(record, ADAPTERS["jax"](), tmp_path) / "reproduce.py").read_text()
    assert "jax.numpy.array(a)" in text and len(text.splitlines()) <= 40


def _torch():
    from refconv.adapters import ADAPTERS

    return ADAPTERS["torch"]()


def test_from_the_command_line(tmp_path, monkeypatch, capfd):
    """check names the folder; replay says broken, then that it holds, then that the call is declined."""
    monkeypatch.chdir(tmp_path)
    lines = ["import refconv", "def max_pool1d(input, kernel_size, *rest, **more):"]
    body = "    return refconv.max_pool1d(input, kernel_size, *rest, **more)"
    file = Path("mine.py")
    file.write_text("\n".join([*lines, body + " * 2"]))
    assert cli.main(["check", "mine.py"]) == 1
    out = capfd.readouterr().out
    (folder,) = set(re.findall(r"again    refconv replay (\S+)", out))
    assert Path(folder).parent == Path("refconv-failures")
    assert cli.main(["replay", folder]) == 1
    assert "is broken again" in capfd.readouterr().out
    file.write_text("\n".join([*lines, body]))
    assert cli.main(["replay", folder]) == 0
    assert "holds now" in capfd.readouterr().out
    file.write_text("\n".join([*lines, "    raise NotImplementedError('later')"]))
    assert cli.main(["replay", folder, "--in-process"]) == 5
    assert "declined now: later" in capfd.readouterr().out


def test_a_folder_that_holds_none(tmp_path, capfd):
    """One line, exit code 4."""
    assert cli.main(["replay", str(tmp_path)]) == 4
    (tmp_path / "call.json").write_text("{}")
    np.savez(tmp_path / "operands.npz", a=np.ones(1))
    assert cli.main(["replay", str(tmp_path)]) == 4
    assert capfd.readouterr().err.count("holds no violation that can be replayed") == 2


def test_words_of_the_subject_end_no_string(tmp_path):
    """An exception's text goes into the script's first line."""
    record, one = _violation("kernel_flipped")
    record = replace(record, violation=Violation("", record.violation.case))
    record.violation.reason = 'raised ValueError: """\nimport os\\'
    folder = reproduce.write(record, one, tmp_path)
    compile((folder / "reproduce.py").read_text(), "reproduce.py", "exec")
    assert "\nimport os\n" not in (folder / "reproduce.py").read_text()


@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.endswith("_backward")])
def test_a_gradient_that_is_derived_has_a_script(name, library):
    """Which Python can read."""
    operation = OPERATIONS[name]
    lines = reproduce._calling(Case(operation, {}, {}, "float32"), library, derived=True)
    compile("\n".join(lines), name, "exec")
