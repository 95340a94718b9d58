"""The guides to the command line: a workflow that is YAML, commands that parse, known failures that name laws."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from refconv import cli, xfails
from refconv.spec import OPERATIONS

ROOT = Path(__file__).parents[1]
GUIDES = [
    ROOT / "README.md",
    ROOT / "docs" / "github-actions.md",
    ROOT / "docs" / "security.md",
    ROOT / "docs" / "campaigns.md",
]


def _blocks(language, path=ROOT / "docs" / "github-actions.md"):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.M | re.S)


def _workflow():
    (text,) = (block for block in _blocks("yaml") if "jobs:" in block)
    return yaml.safe_load(text)


def test_the_workflow_is_one():
    """Triggers, rights that only read, and steps that each use an action of a version or run a command."""
    found = _workflow()
    assert found[True] == ["push", "pull_request"]  # YAML 1.1 reads `on` so
    assert found["permissions"] == {"contents": "read"}
    (job,) = found["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} == job.keys()
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
        assert step.keys() <= {"name", "uses", "with", "run", "if"}


def test_the_workflow_keeps_what_the_command_writes():
    """The paths of the artifact are those of the options; it is kept where the verdict is wrong too."""
    steps = {step.get("name"): step for step in next(iter(_workflow()["jobs"].values()))["steps"]}
    options = cli._parser().parse_args(shlex.split(steps["Judge"]["run"])[1:])
    kept = steps["Keep what was found"]
    assert kept["if"] == "always()"
    assert kept["with"]["path"].split() == [options.junit, options.json, f"{options.failures}/"]
    assert options.targets == ["mypkg"] and options.jobs > 1
    assert f"`{options.xfails}`" in (ROOT / "docs" / "github-actions.md").read_text()


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_commands_parse(path):
    """Each `refconv` command of a guide, in a block or in a line, is one that the command line takes."""
    text = path.read_text()
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines()]
    lines += re.findall(r"`(refconv [^`]*)`", text.replace("\n", " "))
    commands = [line for line in lines if re.match(r"refconv (check .|campaign .|replay .|list$|schema$)", line)]
    for command in commands:
        assert cli._parser().parse_args(shlex.split(command)[1:]).command
    assert commands


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_options_exist(path):
    """No guide speaks of an option that refconv, or pytest on its own, has not."""
    known = set(re.findall(r"--[a-z][a-z-]+", _help()))
    # of `python -m tests.score`, pytest-benchmark and Dask
    others = {"--write", "--benchmark-only", "--nthreads", "--nworkers"}
    used = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", path.read_text()))
    assert used <= known | others | {"--impl"}, used - known - others


def _help():
    return "".join(
        parser.format_help()
        for action in cli._parser()._actions
        if isinstance(action.choices, dict)
        for parser in action.choices.values()
    )


def test_files_of_known_failures_name_laws(tmp_path):
    """Those of the guides are read, and each of their entries is about a law."""
    texts = [path.read_text() for path in cli.properties_folder().glob("test_*.py")]
    laws = re.findall(r"^def test_(\w+)\(", "".join(texts), re.M)
    for path in (ROOT / "README.md", ROOT / "docs" / "github-actions.md"):
        (text,) = _blocks("toml", path)
        (tmp_path / "known.toml").write_text(text)
        entries = xfails.read(str(tmp_path / "known.toml"))
        xfails.check(entries, [(operation, law) for operation in OPERATIONS for law in laws], laws)
        assert entries


def test_links_lead_somewhere():
    """Between the guides."""
    for path in GUIDES:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
