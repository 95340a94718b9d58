"""The command `refconv completion`: what a shell needs to complete the others, from the parsers that read them."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import Any

from refconv.spec import OPERATIONS

__all__ = ["SHELLS", "add", "run"]

USAGE_ERROR = 4
SHELLS = ("bash", "zsh", "fish")
ABOUT = """\
Print what a shell needs to complete the command line. For bash, say:
  refconv completion bash > ~/.local/share/bash-completion/completions/refconv
"""


def add(commands: Any) -> None:
    """Put the command among the others."""
    parser = commands.add_parser(
        "completion",
        help="print what a shell needs to complete this",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="which one")


def run(parser: argparse.ArgumentParser, shell: str) -> int:
    """Print it for all commands of a parser, which is not to be used any more."""
    if find_spec("shtab") is None:
        print("refconv: completion needs shtab: pip install 'refconv[completion]'", file=sys.stderr)
        return USAGE_ERROR
    import shtab

    _mark(parser, shtab)
    print(shtab.complete(parser, shell))
    return 0


def _mark(parser: argparse.ArgumentParser, shtab: Any) -> None:
    """Tell from each argument's placeholder what stands for it: a file, a folder, one of several words.

    shtab reads an attribute `complete`, which argparse's own actions do not declare: hence what is ignored.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark(command, shtab)
        elif action.metavar in ("FILE", "PATH", "TARGET"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab reads it
        elif action.metavar == "FOLDER":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # shtab reads it
        elif action.choices is None and "|" in str(action.metavar):
            action.choices = str(action.metavar).split("|")
        elif "--operation" in action.option_strings:
            action.choices = list(OPERATIONS)
