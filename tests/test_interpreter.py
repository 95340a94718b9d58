"""Another Python runs the subject: with NumPy and the standard library alone, or with a clear word of why it cannot."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refconv import cli, options, worker
from refconv.adapters import ADAPTERS
from refconv.interpreter import OLDEST, InterpreterError, found

PACKAGE = Path(cli.__file__).parent
# Those that import a library when its subject is built. SciPy's needs SciPy, and two are the judge's own references.
OTHERS = {"refconv.adapters.portable", "refconv.adapters.references", "refconv.adapters.scipy"}
LIBRARIES = {adapter.module for adapter in ADAPTERS.values()} - OTHERS
MAY = {name.partition(".")[2] for name in LIBRARIES} | {"adapters.onnx_models", "adapters.translate"}
MAY |= {"__init__", "adapters", "arrays", "claims", "clock", "cover", "dtypes", "families", "features"}
MAY |= {"interpreter", "keeper", "layered", "messages", "spec", "subject", "worker"}
GUARDED = """
import sys
sys.path.insert(0, sys.argv[1])
class Forbids:
    def find_spec(self, name, path=None, target=None):
        top, _, rest = name.partition(".")
        if top not in {*sys.stdlib_module_names, "numpy", "refconv"}:
            raise ModuleNotFoundError(f"{name} is forbidden")
sys.meta_path.insert(0, Forbids())
import importlib
import refconv.worker, refconv.keeper
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*(name.partition(".")[2] or "__init__" for name in sys.modules if name.split(".")[0] == "refconv"))
"""
MODULE = """
import numpy as np
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if padding or dilation != 1 or ceil_mode:
        raise NotImplementedError("padding, dilation, ceil_mode")
    stride = kernel_size if stride is None else stride
    starts = range(0, input.shape[2] - kernel_size + 1, stride)
    columns = [input[:, :, s : s + kernel_size - LOST].max(2) for s in starts]
    shape = (*input.shape[:2], 0)
    return np.stack(columns, 2) if columns else np.zeros(shape, input.dtype)
"""
HERE = """
import os, sys, refconv.worker
assert repr((sys.prefix, refconv.worker.__file__)) == os.environ["WANTED"], sys.prefix
"""


def test_the_worker_needs_numpy_alone():
    """What it imports are the standard library, NumPy and these of our own modules; anything else is refused."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", GUARDED, str(PACKAGE.parent), *LIBRARIES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == MAY
    refused = subprocess.run(
        [sys.executable, "-I", "-c", GUARDED + "import refconv.law", str(PACKAGE.parent)],
        capture_output=True,
        text=True,
    )
    assert "ModuleNotFoundError: " in refused.stderr  # so it would be seen


@pytest.mark.parametrize("name", sorted(MAY))
def test_the_oldest_python_reads_it(name):
    """No grammar that is newer."""
    path = PACKAGE.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    ast.parse(file.read_text(), feature_version=OLDEST)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment of its own that holds NumPy and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in ("numpy", "numpy.libs"):
        own = Path(np.__file__).parents[1] / name
        if own.exists():
            (site / name).symlink_to(own)
    return folder / "bin" / "python"


@pytest.fixture
def here(bare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setitem(options.PROFILES, "quick", 6)
    (tmp_path / "right.py").write_text(MODULE.replace("LOST", "0"))
    (tmp_path / "wrong.py").write_text(MODULE.replace("LOST", "(kernel_size > 1)"))
    return tmp_path


def test_there_is_nothing_but_numpy(bare):
    """Neither refconv nor what it needs: else the verdicts below would show nothing."""
    for name in ("refconv", "scipy", "hypothesis", "ml_dtypes", "pytest", "rich"):
        done = subprocess.run([bare, "-I", "-c", f"import {name}"], capture_output=True, text=True, cwd="/")
        assert "ModuleNotFoundError" in done.stderr, name


def test_it_judges_there(here, bare, capfd, monkeypatch):
    """A right function and a faulty one, each in its own words; the report, the folder and the script say by what."""
    (here / "here.py").write_text(HERE + (here / "right.py").read_text())
    places = f"{bare.parents[1]!s}", str(PACKAGE / "worker.py")
    monkeypatch.setenv("WANTED", repr(places))
    assert cli.main(["check", "here.py", "--python", str(bare)]) in (0, 5)  # so few cases may be too few
    assert "oracle" in capfd.readouterr().out
    monkeypatch.setitem(options.PROFILES, "quick", 12)
    assert cli.main(["check", "wrong.py", "--python", str(bare), "--json", "v.json", "--failures", "kept"]) == 1
    said = f"; run by {bare}: Python {sys.version.split()[0]}, NumPy {np.__version__}; quick, seed 0\n"
    assert said in capfd.readouterr().out
    (verdict,) = json.loads(Path("v.json").read_text())["verdicts"]
    assert verdict["interpreter"] == vars(found(str(bare)))
    folder = next(Path("kept").glob("*every_element*"))
    assert json.loads((folder / "call.json").read_text())["interpreter"]["path"] == str(bare)
    assert f"{bare} reproduce.py" in (folder / "reproduce.py").read_text()
    done = subprocess.run([bare, folder / "reproduce.py"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"found with {vars(found(str(bare)))} run with {bare}\n")
    assert "outside: 0" not in done.stdout and "outside: " in done.stdout
    capfd.readouterr()
    assert cli.main(["replay", str(folder)]) == 1
    (here / "wrong.py").write_text("import sys\nassert 'scipy' not in sys.modules\n" + (here / "right.py").read_text())
    assert cli.main(["replay", str(folder)]) == 0
    about = json.loads((folder / "call.json").read_text())
    about["interpreter"]["path"] = "gone/python"
    (folder / "call.json").write_text(json.dumps(about))
    assert cli.main(["replay", str(folder)]) == 4
    assert "name another with --python" in capfd.readouterr().err
    assert cli.main(["replay", str(folder), "--python", str(bare)]) == 0


PRINTS = "#!/bin/sh\necho '{}'\n"
PROGRAMS = {
    "old": (PRINTS.format('{"python": "3.9.18", "numpy": "1.23.5"}'), ["Python 3.9.18", "must be 3.10 or newer"]),
    "older": (PRINTS.format('{"python": "2.7.18", "error": "ImportError: no"}'), ["2.7.18", "must be 3.10 or newer"]),
    "without": (PRINTS.format('{"python": "3.12.1", "error": "ImportError: none"}'), ["gave ImportError: none", "pip"]),
    "numpy": (PRINTS.format('{"python": "3.10.1", "numpy": "1.21.6"}'), ["NumPy is 1.21.6", "must be 1.23 or newer"]),
    "other": ("#!/bin/sh\necho hello\n", ["no Python", "-c ..."]),
    "fails": ("#!/bin/sh\nexit 3\n", ["no Python", "did not"]),
    "broken": ("#!/no/such/thing\n", ["no Python", "No such file"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_cannot_run_it_says_so(here, name, capfd):
    """In one line, with what was tried."""
    text, parts = PROGRAMS[name]
    (here / name).write_text(text)
    (here / name).chmod(0o755)
    assert cli.main(["check", "right.py", "--python", f"./{name}"]) == 4
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("refconv: --python is ") and len(err.splitlines()) == 1
    for part in (str(here / name), *parts):
        assert part in err


def test_what_is_no_program_says_so(here, bare, capfd):
    """A folder, an environment rather than the program in it, a file that is no program, nothing at all."""
    (here / "text").write_text("x")
    rows = {"text": "no program", "nothing": "not there", ".": "a folder", str(bare.parents[1]): f"in it, {bare}"}
    for path, part in rows.items():
        with pytest.raises(InterpreterError, match=part):
            found(path)
    assert cli.main(["check", "right.py", "--python", str(bare), "--in-process"]) == 4
    assert "exclude each other" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["right.py", "--dtype", "bfloat16"], ["bfloat16", "No module named 'ml_dtypes'", "-m pip install ml_dtypes"]),
        (["right.py", "--array", "torch"], ["No module named 'torch'", "-m pip install torch"]),
        (["torch"], ["needs torch", "said by"]),
        (["refconv"], ["needs scipy", "said by"]),
    ],
)
def test_what_is_not_there_says_so(here, bare, capfd, arguments, parts):
    """A dtype, arrays or a library that the other environment would have to have."""
    assert cli.main(["check", *arguments, "--python", str(bare)]) == 4
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    for part in (str(bare), *parts):
        assert part in err


def test_the_library_of_a_short_name_is_told():
    """Whatever its functions are made of; a reference of ours has none."""
    told = {name: worker._library(ADAPTERS[name]()) for name in ("onnxruntime", "torch", "refconv-direct")}
    assert told == {
        "onnxruntime": f"onnxruntime {ADAPTERS['onnxruntime'].version}",
        "torch": f"torch {ADAPTERS['torch'].version}",
        "refconv-direct": "",
    }
