"""Another Python than the judge's that runs a subject: an environment with an older library, or an older NumPy.

It needs nothing but what is judged and NumPy: `worker` and all that it imports lie beside this file and need no more.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OLDEST", "OLDEST_NUMPY", "Interpreter", "InterpreterError", "found"]

OLDEST, OLDEST_NUMPY = (3, 10), (1, 23)
STARTS = 60.0  # seconds that it may take to say what it is
# In words that any Python understands; a module in the working directory is not what is asked for.
QUESTION = """
import sys
sys.path[:] = [place for place in sys.path if place]
import json
said = {"python": "%d.%d.%d" % sys.version_info[:3]}
try:
    import numpy
    said["numpy"] = numpy.__version__
except Exception:
    said["error"] = "%s: %s" % (sys.exc_info()[0].__name__, sys.exc_info()[1])
print(json.dumps(said))
"""


class InterpreterError(ValueError):
    """A path that is no Python which could run a subject."""


@dataclass(frozen=True)
class Interpreter:
    """Where it is, the versions of Python and NumPy, and of the library under judgement where it says one."""

    path: str
    python: str
    numpy: str
    library: str = ""

    @property
    def words(self) -> str:
        """In one line.

        >>> Interpreter("old/bin/python", "3.10.13", "1.23.5", "torch 1.12.1").words
        'old/bin/python: Python 3.10.13, NumPy 1.23.5, torch 1.12.1'
        """
        return f"{self.path}: Python {self.python}, NumPy {self.numpy}{self.library and f', {self.library}'}"


def found(path: str) -> Interpreter:
    """The interpreter of a path, or of a name that the shell would find.

    Raises InterpreterError, with what was tried, where it is none, older than OLDEST, or without NumPy.
    """
    place = shutil.which(path)
    if place is None:
        inside = Path(path) / "bin" / "python"
        hint = f": name the program in it, {inside}" if inside.is_file() else ""
        what = "a folder" if Path(path).is_dir() else "no program" if Path(path).exists() else "not there"
        raise InterpreterError(f"is {path!r}, but that is {what}{hint}")
    program = str(Path(place).absolute())  # a link is not followed: it is what makes an environment
    said = _asked(program)
    python, numpy = str(said["python"]), str(said.get("numpy", ""))
    if _numbers(python) < OLDEST:
        raise InterpreterError(f"is {program}, which is Python {python}, but must be {_dotted(OLDEST)} or newer")
    if not numpy:
        raise InterpreterError(
            f"is {program}, Python {python}, but it must have NumPy: `import numpy` there gave {said.get('error')} "
            f"({program} -m pip install numpy)"
        )
    if _numbers(numpy) < OLDEST_NUMPY:
        raise InterpreterError(f"is {program}, whose NumPy is {numpy}, but must be {_dotted(OLDEST_NUMPY)} or newer")
    return Interpreter(program, python, numpy)


def _asked(program: str) -> dict[str, str]:
    """What the program says of itself."""
    try:
        done = subprocess.run(
            [program, "-c", QUESTION], capture_output=True, stdin=subprocess.DEVNULL, timeout=STARTS, text=True
        )
        said = json.loads(done.stdout.strip().rpartition("\n")[2])
        if not isinstance(said, dict) or "python" not in said:
            raise ValueError
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        what = f"took longer than {STARTS:g} seconds" if isinstance(error, subprocess.TimeoutExpired) else "did not"
        what = str(error) if isinstance(error, OSError) else what
        raise InterpreterError(
            f"is {program}, but that is no Python: `{program} -c ...` was to print its version, but {what}"
        ) from None
    return said


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version, zeros where it has none."""
    parts = [*version.split("."), "0"][:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
