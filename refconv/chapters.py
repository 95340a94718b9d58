"""Finds the laws: the folder of their chapters, and which laws an operation has, the central one first."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from refconv.spec import KIND_GROUPS, Operation

__all__ = ["laws", "laws_of", "load", "properties_folder"]


def properties_folder() -> Path:
    """Where the laws are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "properties", package.parent / "properties"):
        if (folder / "conftest.py").is_file():
            return folder
    raise FileNotFoundError("the folder `properties` is missing from this installation: install refconv again")


def load(path: Path) -> ModuleType:
    """A chapter as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def laws() -> dict[str, Any]:
    """Every law by its name, those of the comparison with exact values first.

    >>> next(iter(laws()))
    'every_element_is_within_the_allowed_error'
    """
    paths = sorted(properties_folder().glob("test_*.py"), key=lambda path: (path.name != "test_oracle.py", path.name))
    tests = (item for path in paths for item in vars(load(path)).items())
    return {name.removeprefix("test_"): test for name, test in tests if name.startswith("test_")}


def laws_of(operation: Operation) -> list[str]:
    """The names of the laws that are about operations of its kind."""
    return [name for name, law in laws().items() if operation.kind in KIND_GROUPS.get(law.kind, {law.kind})]
