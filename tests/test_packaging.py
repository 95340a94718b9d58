"""The wheel: what it holds, and that it judges on its own, wherever it is run."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MUTANT = Path(__file__).parent / "mutants" / "wrong" / "correlate_not_flipped.py"
HOSTILE = {
    "pytest.ini": "[pytest]\naddopts = --no-such-option -n 7 --collect-only\npython_files = nothing_*.py\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--also-unknown'\nfilterwarnings = ['error']\n",
    "conftest.py": "raise SystemExit('the conftest of the working directory was read')\n",
    "properties/conftest.py": "raise SystemExit('so was that of its properties')\n",
    "refconv_own.py": "raise SystemExit\n",
}


def _run(*arguments, check=True, **keywords):
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=180, **keywords)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what belongs to the project."""
    try:
        if int(metadata.version("setuptools").partition(".")[0]) < 77:
            pytest.skip("setuptools is too old to build the wheel")
    except metadata.PackageNotFoundError:
        pytest.skip("setuptools is not installed")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", *_sources()):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    folder = tmp_path_factory.mktemp("wheel")
    program = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"
    _run(sys.executable, "-c", program, str(folder), cwd=source)
    (built,) = folder.glob("*.whl")
    return built


def _sources():
    found = [p for top in ("refconv", "properties") for p in (ROOT / top).rglob("*") if p.is_file()]
    return [str(p.relative_to(ROOT)) for p in found if "__pycache__" not in p.parts]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that the wheel is installed in, without what it depends on."""
    target = tmp_path_factory.mktemp("site")
    _run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


def test_the_wheel_holds_every_module(wheel):
    """All of refconv, the laws as refconv/properties, the marker of typed packages; no tests."""
    held = set(zipfile.ZipFile(wheel).namelist())
    want = {name if name.startswith("refconv/") else f"refconv/{name}" for name in _sources()}
    assert want <= held, want - held
    assert {name.split("/")[0] for name in held} == {"refconv", wheel.name.split("-py3")[0] + ".dist-info"}
    assert "refconv/py.typed" in held and "refconv/properties/pytest.ini" in held
    assert not {name for name in held if "mutants" in name or name.startswith("tests")}


def test_the_metadata(wheel):
    """Entry point, the Python it needs, and what it needs to run, all of which is imported somewhere."""
    archive = zipfile.ZipFile(wheel)
    read = {Path(n).name: archive.read(n).decode() for n in archive.namelist() if ".dist-info/" in n}
    assert "refconv = refconv.cli:main" in read["entry_points.txt"]
    lines = read["METADATA"].splitlines()
    assert "Requires-Python: >=3.11" in lines and "License-Expression: MIT" in lines
    python = {
        line.rpartition(" ")[2] for line in lines if line.startswith("Classifier: Programming Language :: Python ::")
    }
    assert {"3.11", "3.12", "3.13"} <= python
    needs = {
        line.removeprefix("Requires-Dist: ").split(">")[0]
        for line in lines
        if line.startswith("Requires-Dist") and "extra" not in line
    }
    text = "".join((ROOT / name).read_text() for name in _sources() if name.endswith(".py"))
    assert "pytest-xdist" in needs and '"xdist.plugin"' in text  # pytest imports it
    for name in (n.replace("-", "_") for n in needs - {"pytest-xdist"}):
        assert f"import {name}" in text or f"from {name}" in text, f"{name} is required, but never imported"


def test_the_installed_package_judges_anywhere(installed, tmp_path):
    """From a folder whose settings for pytest are none of its business, with the laws of the installed package."""
    for name, text in HOSTILE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "PYTEST_ADDOPTS": "--unknown -n 3",
        "PYTEST_PLUGINS": "gone",
    }
    program = """
import sys
from refconv import cli, options
options.PROFILES["quick"] = 1
code = cli.main(sys.argv[1:])
print(cli.properties_folder(), cli.__file__, sys.modules["test_oracle"].__file__, file=sys.stderr)
sys.exit(code)
"""
    arguments = ["check", str(MUTANT), "--operation", "correlate"]
    done = _run(sys.executable, "-c", program, *arguments, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("VERDICT: wrong\n")
    places = done.stderr.split()[-3:]
    assert all(place.startswith(str(installed)) for place in places), places
    assert {p.name for p in tmp_path.iterdir()} <= {name.split("/")[0] for name in HOSTILE} | {
        "__pycache__",
        "refconv-failures",
    }


def test_the_installed_program(installed, tmp_path):
    """`python -m refconv.cli` and the script do the same."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    script = installed / "bin" / "refconv"
    for command in ([sys.executable, "-m", "refconv.cli"], [sys.executable, str(script)]):
        done = _run(*command, "check", "nope", check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 4 and done.stderr.startswith("refconv: target 'nope'"), done.stderr


def test_a_package_without_laws_says_so(monkeypatch, tmp_path):
    """Rather than judging by none."""
    from refconv import chapters

    monkeypatch.setattr(chapters, "__file__", str(tmp_path / "refconv" / "chapters.py"))
    with pytest.raises(FileNotFoundError, match="install refconv again"):
        chapters.properties_folder()
