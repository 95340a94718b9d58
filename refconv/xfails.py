"""Laws that a subject is known to break, each with a reason: read from a file, held against what is judged.

The file is TOML, a table for each:

    [[xfail]]
    operation = "conv2d_backward"
    law = "every_element_is_within_the_allowed_error"
    reason = "grad_bias is summed in float16, see issue 12"

`operation` or `law` may be left out, and hold the wildcards of `fnmatch`; a law may be written with spaces.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from refconv.spec import OPERATIONS
from refconv.subject import TargetError

__all__ = ["Xfail", "check", "covering", "read"]

KEYS = ("operation", "law", "reason")


@dataclass(frozen=True)
class Xfail:
    """One entry: which operations and laws, as patterns, and why they fail."""

    operation: str
    law: str
    reason: str

    def covers(self, operation: str, law: str) -> bool:
        """Whether the entry is about this law of this operation.

        >>> Xfail("conv*", "*", "not yet").covers("conv2d", "images_do_not_mix")
        True
        """
        return fnmatchcase(operation, self.operation) and fnmatchcase(law, self.law)

    def __str__(self) -> str:
        return f"operation {self.operation!r}, law {self.law!r}"


def covering(entries: Iterable[Xfail], operation: str, law: str) -> Xfail | None:
    """The first entry about this law of this operation."""
    return next((entry for entry in entries if entry.covers(operation, law)), None)


def read(file: str | None) -> list[Xfail]:
    """The entries of a file; none without a file. Raises TargetError where the file is none of that form."""
    if file is None:
        return []
    try:
        about = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetError(
            f"--xfails is {file!r}, but cannot be read: {(error.strerror or str(error)).lower()}"
        ) from None
    except ValueError as error:  # TOML's and Unicode's errors are of that kind
        raise TargetError(f"--xfails is {file!r}, but is not TOML: {error}") from None
    rows = about.get("xfail")
    if about.keys() != {"xfail"} or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TargetError(f"--xfails is {file!r}, but must hold [[xfail]] tables and nothing else")
    return [_entry(f"--xfails {file!r}, entry {number}", row) for number, row in enumerate(rows, 1)]


def _entry(place: str, row: dict[str, Any]) -> Xfail:
    for name, value in row.items():
        if name not in KEYS:
            raise TargetError(f"{place} has {name!r}, but must have {', '.join(KEYS)}")
        if not isinstance(value, str) or not value.strip():
            raise TargetError(f"{place}: {name} is {value!r}, but must be text")
    if "reason" not in row:
        raise TargetError(f'{place} has no reason: write reason = "why it fails"')
    if not {"operation", "law"} & row.keys():
        raise TargetError(f"{place} names neither an operation nor a law")
    law = row.get("law", "*").replace(" ", "_")
    return Xfail(row.get("operation", "*"), law, " ".join(row["reason"].split()))


def check(entries: Sequence[Xfail], judged: Iterable[tuple[str, str]], laws: Iterable[str]) -> None:
    """Each entry is about something: TargetError for one that no operation has, no law has, or no law of them.

    `judged` are pairs of operation and law, `laws` the names of all. What is not judged this time is let be.
    """
    pairs, names = set(judged), sorted(set(laws))
    for entry in entries:
        said = f"--xfails: the entry of {entry} matches"
        if not any(fnmatchcase(name, entry.operation) for name in OPERATIONS):
            raise TargetError(f"{said} no operation: operations are {', '.join(OPERATIONS)}")
        if not any(fnmatchcase(name, entry.law) for name in names):
            raise TargetError(f"{said} no law: laws are {', '.join(names)}")
        own = sorted({law for operation, law in pairs if fnmatchcase(operation, entry.operation)})
        if own and not any(entry.covers(*pair) for pair in pairs):
            raise TargetError(f"{said} no law of such an operation: its laws are {', '.join(own)}")
