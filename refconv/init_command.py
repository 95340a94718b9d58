"""The command `refconv init`: what a project needs to be judged in its tests and in GitHub Actions, written once."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from refconv.files import write

__all__ = ["add", "run", "workflow"]

USAGE_ERROR = 4
ABOUT = """\
Write into the current folder what a project needs to be judged: a test, a
workflow of GitHub Actions, and a file of known failures, empty. Files that are
there already are left as they are.
"""
EXAMPLES = """\
examples:
  refconv init --target mypkg                 every operation the module has
  refconv init --target mypkg.kernels:conv2d  one function

exit code: 0 written, or there already, word for word; 4 a file is there that
reads otherwise: then nothing is written
"""
XFAILS = "refconv-xfails.toml"
WORKFLOW = """\
name: refconv
on: [push, pull_request]
permissions:
  contents: read
env:
  REFCONV: refconv
jobs:
  verdict:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - name: Install
        run: python -m pip install {project}"$REFCONV"
      - name: Judge
        run: |
          refconv check {target} --xfails {xfails} --jobs 4 --junit refconv.xml --json refconv.json --failures refconv-failures
      - name: Keep what was found
        if: always()
        uses: actions/upload-artifact@v4
        with:
          name: refconv
          if-no-files-found: ignore
          path: |
            refconv.xml
            refconv.json
            refconv-failures/
"""  # noqa: E501 (a command is one line)
TEST = '''\
"""Convolution and pooling of {target} are right: `refconv check {target}` shows the same with its evidence."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECK = ["check", {quoted}, "--xfails", "{xfails}", "--failures", "none"]


def test_verdict():
    """No law is broken that {xfails} does not name, and enough was judged to say so."""
    done = subprocess.run([sys.executable, "-m", "refconv.cli", *CHECK], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
'''
KNOWN = """\
# Laws known to fail: none. In place of the last line stand tables like this one; wildcards may stand in them.
#
# [[xfail]]
# operation = "conv2d_backward"
# law = "every element is within the allowed error"
# reason = "grad_bias is summed in float16, see issue 12"
xfail = []
"""


def workflow(target: str, project: bool = True) -> str:
    """The workflow that judges a target; `project` where pip can install what stands in the folder.

    >>> print(workflow("mypkg").splitlines()[0])
    name: refconv
    """
    return WORKFLOW.format(project=". " * project, target=shlex.quote(target), xfails=XFAILS)


def add(commands: Any) -> None:
    """Put the command among the others."""
    parser = commands.add_parser(
        "init",
        help="write a test and a workflow that judge a project",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--target", required=True, metavar="TARGET", help="what to judge, as for `refconv check`")


def run(options: argparse.Namespace) -> int:
    """Write all files, or none where one of them is there and reads otherwise."""
    target = options.target
    if not target.strip() or not target.isprintable() or '"' in target:
        print(f"refconv: --target is {target!r}, but must be a module, a file or a short name", file=sys.stderr)
        return USAGE_ERROR
    files = {path: text for path, text in _files(target).items() if not _same(path, text)}
    if there := [path for path in files if path.exists() or path.is_symlink()]:
        names = ", ".join(map(str, there))
        print(f"refconv: there is already {names}: nothing was written; rename it to begin anew", file=sys.stderr)
        return USAGE_ERROR
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, text)
        except OSError as error:
            print(f"refconv: {path} cannot be written: {error}", file=sys.stderr)
            return USAGE_ERROR
        print(f"wrote {path}")
    print("judge it here: refconv check", shlex.quote(target))
    return 0


def _files(target: str) -> dict[Path, str]:
    project = any(Path(name).is_file() for name in ("pyproject.toml", "setup.py"))
    return {
        Path("tests/test_refconv.py"): TEST.format(target=target, quoted=f'"{target}"', xfails=XFAILS),
        Path(".github/workflows/refconv.yml"): workflow(target, project),
        Path(XFAILS): KNOWN,
    }


def _same(path: Path, text: str) -> bool:
    """Whether it stands there word for word. Known failures are the project's own, whatever they are."""
    if not path.is_file():
        return False
    return path.name == XFAILS or path.read_bytes() == text.encode()
