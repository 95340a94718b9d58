"""`refconv init` writes what the guide shows, and nothing over what is there; hooks and completion fit the options."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from refconv import cli, completion, init_command, options, xfails

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "github-actions.md").read_text()
WRITTEN = ["tests/test_refconv.py", ".github/workflows/refconv.yml", "refconv-xfails.toml"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _files():
    return {str(p): p.read_text() for p in sorted(Path().rglob("*")) if p.is_file()}


def test_the_guide_shows_what_is_written(here):
    """The workflow word for word: neither can be changed without the other."""
    (here / "pyproject.toml").write_text("")
    assert cli.main(["init", "--target", "mypkg"]) == 0
    assert f"```yaml\n{Path(WRITTEN[1]).read_text()}```\n" in GUIDE
    assert "refconv init --target mypkg" in GUIDE
    assert xfails.read(WRITTEN[2]) == []
    text = "".join(line.removeprefix("# ") for line in Path(WRITTEN[2]).read_text().splitlines(True)[2:-1])
    Path(WRITTEN[2]).write_text(text)
    (entry,) = xfails.read(WRITTEN[2])  # its example is one
    assert entry.operation == "conv2d_backward"


def test_nothing_is_written_over(here, capsys):
    """What is there word for word is no mistake; what reads otherwise is, and then nothing at all is written."""
    assert cli.main(["init", "--target", "mine.py:conv2d"]) == 0
    before = _files()
    assert set(before) == set(WRITTEN)
    assert cli.main(["init", "--target", "mine.py:conv2d"]) == 0 and _files() == before
    Path(WRITTEN[0]).unlink()
    Path(WRITTEN[1]).write_text("mine\n")
    Path(WRITTEN[2]).write_text("# known\n")
    before = _files()
    capsys.readouterr()
    assert cli.main(["init", "--target", "mine.py:conv2d"]) == 4 and _files() == before
    assert WRITTEN[1] in capsys.readouterr().err
    Path(WRITTEN[1]).unlink()
    assert cli.main(["init", "--target", "mine.py:conv2d"]) == 0
    assert _files()[WRITTEN[2]] == "# known\n"


@pytest.mark.parametrize("target", ["", "a\nb", 'a"; rm'])
def test_a_target_that_is_none(here, capsys, target):
    """Is a usage error, and nothing is written."""
    assert cli.main(["init", "--target", target]) == 4
    assert "--target" in capsys.readouterr().err and not _files()


def test_a_folder_without_a_project_is_not_installed(here):
    """pip is given it only where it can do something with it; a name with blanks stays one argument."""
    cli.main(["init", "--target", "my kernels/conv.py:conv2d"])
    (job,) = yaml.safe_load(Path(WRITTEN[1]).read_text())["jobs"].values()
    steps = {step.get("name"): step.get("run") for step in job["steps"]}
    assert steps["Install"] == 'python -m pip install "$REFCONV"'
    assert cli._parser().parse_args(shlex.split(steps["Judge"])[1:]).targets == ["my kernels/conv.py:conv2d"]


def test_the_test_that_is_written_judges(here):
    """It fails where the verdict is not that it is correct, and shows it."""
    cli.main(["init", "--target", "mine.py"])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", WRITTEN[0]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "there is no file 'mine.py'" in done.stdout, done.stdout


def test_the_hook_is_a_command():
    """For pre-commit: `refconv check`, with what the project's `args` add, as the guide shows."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {"id", "name", "entry", "language"} <= hook.keys() and hook["pass_filenames"] is False
    (config,) = [b for b in re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S) if "repos:" in b]
    (used,) = yaml.safe_load(config)["repos"][0]["hooks"]
    assert used["id"] == hook["id"]
    found = cli._parser().parse_args([*shlex.split(hook["entry"])[1:], *used["args"]])
    assert found.targets == ["mypkg"] and found.python == ".venv/bin/python" and found.profile == "quick"


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_knows_every_option(shell, capsys):
    """And the words that an option takes."""
    assert cli.main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for flags, _ in options.OPTIONS:
        assert flags[0].lstrip("-") in text
    assert "standard" in text and "conv_transpose3d" in text and "propagate" in text


def test_completion_is_what_bash_reads(tmp_path, capsys):
    """The shell itself finds what may follow."""
    cli.main(["completion", "bash"])
    script = capsys.readouterr().out + (
        'COMP_WORDS=(refconv check --prof); COMP_CWORD=2; COMP_LINE="refconv check --prof"; COMP_POINT=20\n'
        'eval "$(complete -p refconv | sed "s/.*-F \\([^ ]*\\).*/\\1/") refconv --prof check"; echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "--profile", done.stderr


def test_without_the_library_it_says_so(monkeypatch, capsys):
    """One line, exit code 4."""
    monkeypatch.setattr(completion, "find_spec", lambda name: None)
    assert cli.main(["completion", "bash"]) == 4
    assert "pip install 'refconv[completion]'" in capsys.readouterr().err


def test_a_target_is_shown_once():
    """Every file that is written names it as it was given."""
    for text in init_command._files("a.b:conv2d").values():
        assert "a.b:conv2d" in text or text == init_command.KNOWN
