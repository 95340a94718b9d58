"""What docs/security.md says: nothing is unpickled, nothing else is run, and nothing is written but where it says."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refconv import cli, reproduce

ROOT = Path(__file__).parents[1]
SUBJECT = """
import numpy as np, refconv
def convolve(in1, in2, mode="full"):
    return {}
"""
RIGHT, WRONG = "refconv.convolve(in1, in2, mode, method='direct')", "np.zeros_like(refconv.convolve(in1, in2, mode))"
PROGRAM = (
    "import sys; from refconv import cli, options; options.PROFILES['quick'] = 1; sys.exit(cli.main(sys.argv[1:]))"
)


def _everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("body", "options", "written"),
    [
        pytest.param(RIGHT, ["--jobs=2", "--json=v.json", "--junit=v.xml"], ["v.json", "v.xml"], id="right"),
        pytest.param(WRONG, ["--failures=none"], [], id="none"),
        pytest.param(WRONG, [], ["refconv-failures"], id="wrong"),
    ],
)
def test_what_is_written(tmp_path, body, options, written):
    """In the working directory what is asked for, nothing at home, nothing that stays among temporary files."""
    for name in ("here", "home", "temporary", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere" / "mine.py").write_text(SUBJECT.format(body))
    environment = {k: v for k, v in os.environ.items() if k != "GITHUB_STEP_SUMMARY" and not k.startswith("XDG_")}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, "check", str(tmp_path / "elsewhere" / "mine.py"), *options]
    done = subprocess.run(command, cwd=tmp_path / "here", env=environment, capture_output=True, text=True)
    assert done.returncode in ((1,) if body == WRONG else (0, 5)), done.stdout + done.stderr
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == written
    assert _everything(tmp_path / "home") == [] and _everything(tmp_path / "temporary") == []
    assert {name.split("/")[0] for name in _everything(tmp_path / "elsewhere")} <= {"mine.py", "__pycache__"}


def _calls(path):
    """The names of modules that a file imports, and of what it calls."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield f"{node.func.id}()"


def test_nothing_is_unpickled_or_evaluated():
    """But the records that the judge's own processes send each other."""
    for path in [*(ROOT / "refconv").rglob("*.py"), *(ROOT / "properties").glob("*.py")]:
        used = set(_calls(path)) & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "eval()", "exec()"}
        assert used == ({"pickle"} if path.name == "conftest.py" else set()), path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
                assert "allow_pickle=False" in ast.unparse(node), path


class _Trap:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def test_a_folder_with_a_pickle_is_refused(tmp_path, monkeypatch, capsys):
    """`refconv replay` says so, and what is in it is not run."""
    call = '{"schema": 1, "target": "refconv", "case": {"operation": "convolve", "dtype": "float32"}}'
    (tmp_path / reproduce.CALL).write_text(call)
    trap = np.array(_Trap(str(tmp_path / "sprung")), dtype=object)
    np.savez(tmp_path / reproduce.OPERANDS, operand_in1=trap)
    assert cli.main(["replay", str(tmp_path)]) == 4
    err = capsys.readouterr().err
    assert "allow_pickle=False" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "sprung").exists()
    with np.load(tmp_path / reproduce.OPERANDS, allow_pickle=True) as file:
        file["operand_in1"].item()
    assert (tmp_path / "sprung").exists()  # the trap is one
