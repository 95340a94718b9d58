"""The verdicts in Markdown, for the summary page of a step in GitHub Actions.

What the subject says or is called is text there and nothing else: no mark-up of its own, no link, no picture.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from refconv.report.terminal import LEGEND, claim, evidence, remarks, table
from refconv.verdict import Verdict

__all__ = ["block", "overview", "summary"]


def summary(verdicts: Sequence[Verdict]) -> str:
    """For each subject: verdict, claim, table by operation, remarks, and the first violation."""
    return "\n".join(_one(v) for v in verdicts)


def _one(v: Verdict) -> str:
    parts = [overview(v, claim(v))]
    if v.violations:
        parts += [block(evidence(v.violations[0]))]
        parts.append(f"Laws broken: {len(v.violations)}.")
    return "\n\n".join(parts) + "\n"


def overview(v: Verdict, about: str) -> str:
    """Verdict, what it is about, table by operation, remarks."""
    header, rows = table(v, short=True)
    parts = [
        f"### refconv: {v.words}",
        _code(about),
        "\n".join(
            [
                f"| {' | '.join(header)} |",
                f"|{'|'.join([' --- ', *[' ---: '] * (len(header) - 1)])}|",
                *(f"| `{row[0].plain}` | {' | '.join(cell.plain for cell in row[1:])} |" for row in rows),
            ]
        ),
        LEGEND,
        block(list(remarks(v))),
    ]
    return "\n\n".join(part for part in parts if part)


def _code(text: str) -> str:
    """In a line: every character that is neither a letter nor a digit is written as its number, so marks nothing up.

    >>> _code("*a*")
    '<code>&#42;a&#42;</code>'
    """
    plain = " ".join(_printable(text).split())
    return f"<code>{''.join(c if c.isalnum() or c == ' ' else f'&#{ord(c)};' for c in plain)}</code>" if plain else ""


def block(lines: Sequence[str]) -> str:
    """Between the tags that end where `</pre>` stands, which escaped text cannot hold."""
    return f"<pre>{html.escape(chr(10).join(map(_printable, lines)))}</pre>" if lines else ""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
