"""The pages: their table is complete and true, they build without a network, in light and dark."""

import ast
import re
import socket
from functools import cache
from pathlib import Path

import pytest

from docs import build
from docs.pictures import PICTURES, THEMES

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "docs" / "documents.md").read_text(encoding="utf-8")


def rows(first):
    """The rows of a table whose first column looks like that."""
    found = [line.strip("| ").split(" | ") for line in DOCUMENTS.splitlines() if line.startswith("| ")]
    return {row[0].strip(): row[1:] for row in found if re.fullmatch(first, row[0].strip())}


@cache
def docstrings(path):
    """The docstring of each test of a file."""
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name: ast.get_docstring(node) or "" for node in module.body if isinstance(node, ast.FunctionDef)}


def cites(label, test):
    """Whether the test exists and names the label."""
    path, _, name = test.strip("` ").rpartition("::")
    said = docstrings(path or "tests/test_documents.py").get(name, "")
    return re.search(rf"(?<![\w.]){re.escape(label)}(?!\w|\.\d)", said) is not None


SYSTEMS, ERRATA = rows(r"S\d+"), rows(r"\d")


def test_every_system_and_every_erratum_has_a_row():
    """S1 to S20, each once; the eight slips."""
    assert list(SYSTEMS) == [f"S{i}" for i in range(1, 21)]
    assert list(ERRATA) == [str(i) for i in range(1, 9)]


@pytest.mark.parametrize("label", SYSTEMS)
def test_a_systems_row_is_true(label):
    """Its modules exist, its test exists and cites the label."""
    _, modules, test = SYSTEMS[label]
    assert all((ROOT / module.strip("` ")).is_file() for module in modules.split(","))
    assert cites(label, test)


@pytest.mark.parametrize("number", ERRATA)
def test_an_erratums_row_is_true(number):
    """Its test exists and cites it."""
    assert cites(f"Erratum {number}", ERRATA[number][-1])


def test_a_false_row_is_seen():
    """A test that does not exist, or is about something else."""
    assert not cites("S1", "`tests/test_documents.py::test_s1_no_such_test`")
    assert not cites("S1", "`tests/test_documents.py::test_s13_convolution_theorem`")
    assert not cites("S2", "`tests/test_documents.py::test_s20_conv2d_as_a_user_of_pytorch_calls_it`")


def test_the_pages_build_without_a_network(tmp_path, monkeypatch, capsys):
    """Every page and picture, each picture in both themes; nothing is loaded from elsewhere, no link is dead."""

    def refuse(*arguments, **keywords):
        raise AssertionError("the build asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "stale.html").write_text("old")
    assert build.main(["--to", str(tmp_path / "site")]) == 0
    assert "gallery.html" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["site"]  # nothing half-written
    files = {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "site").iterdir()}
    pictures = {f"{name}-{theme}.svg" for name in PICTURES for theme in THEMES}
    pages = {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")}
    assert files.keys() == pictures | pages
    shown = set()
    for page in pages:
        loads = set(re.findall(r'(?:src|srcset)="([^"]+)"', files[page]))
        links = {link.partition("#")[0] for link in re.findall(r'href="([^"]+)"', files[page])}
        assert loads | {link for link in links if not link.startswith("https://")} <= files.keys()
        shown |= (loads | links) & files.keys()
        assert not re.search(r'alt=""', files[page])
    assert shown == pictures | pages  # and every picture is shown
    for name in PICTURES:
        assert files[f"{name}-light.svg"] != files[f"{name}-dark.svg"]
        for theme, colours in THEMES.items():
            assert colours.page in files[f"{name}-{theme}.svg"]


def test_a_picture_that_is_not_there_is_said(tmp_path, monkeypatch):
    """By its name, with those that are."""
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    (tmp_path / "page.md").write_text("# Page\n\n![words](nothing)\n")
    with pytest.raises(ValueError, match="the picture 'nothing', but must show one of sliding_window"):
        build.build(tmp_path / "site")
