"""The command line, from outside: every mistake is one clear line, every verdict its exit code."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from refconv import __version__, adapters, cli, options
from refconv.adapters import ADAPTERS
from refconv.spec import OPERATIONS

FILES = {
    "good.py": """
import refconv
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return refconv.conv1d(input, weight, bias, stride, padding, dilation, groups)
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return refconv.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)
def mine(input, weight): ...
conv3d = 3
""",
    "empty.py": "x = 1\n",
    "raises.py": "raise RuntimeError('no GPU\\nhere')\n",
    "exits.py": "import sys\nsys.exit(0)\n",
    "skips.py": "import pytest\npytest.exit('away')\n",
    "syntax.py": "def conv2d(:\n",
    "needs.py": "import no_such_library\n",
    "undefined.py": "conv2d = undefined\n",
    "claims.py": "def conv2d(input, weight): ...\nconv2d.refconv = {'acumulate': 'float16'}\n",
    "claims_value.py": "def conv2d(input, weight): ...\nconv2d.refconv = {'algorithm': 'fast'}\n",
    "claims_type.py": "def conv2d(input, weight): ...\nconv2d.refconv = {'algorithm': 3}\n",
    "claims_text.py": "def conv2d(input, weight): ...\nconv2d.refconv = 'fft'\n",
    "claims_array.py": "def conv2d(input, weight): ...\nconv2d.refconv = {'array': 'tensor'}\n",
    "claims_both.py": """
def conv1d(input, weight): ...
def conv2d(input, weight): ...
conv1d.refconv, conv2d.refconv = {'epilogue': 'separate'}, {'epilogue': 'fused'}
""",
}

CONV = "good.py:conv2d"
WRONG_INPUT = [
    # target
    (["nope"], ["'nope'", "neither a module", "short name", "torch", "refconv-direct"]),
    (["good"], None),  # the file is a module of the working directory
    (["good.conv2d"], ["'good.conv2d'", "not a package"]),
    (["nope:conv2d"], ["'nope:conv2d'", "neither a module"]),
    (["nope.py"], ["no file 'nope.py'"]),
    (["nope.py:conv2d"], ["no file 'nope.py'"]),
    (["folder/"], ["no file 'folder'"]),
    (["good.py:nope"], ["good.py", "no attribute 'nope'", "conv1d, conv2d", "max_pool2d"]),
    (["good:nope"], ["module 'good' has no attribute 'nope'"]),
    (["good.py:mine"], ["'mine'", "not named as an operation", "OPERATION=good.py:mine"]),
    (["good.py:conv3d"], ["'good.py:conv3d'", "int", "must be a function"]),
    (["conv4d=good.py:mine"], ["'conv4d'", "unknown", "conv_transpose3d"]),
    (["conv2d=good.py"], ["no function", "conv2d=good.py:FUNCTION"]),
    (["empty.py"], ["'empty.py'", "no function named as an operation", "conv2d"]),
    (["raises.py"], ["fails on import", "RuntimeError: no GPU here"]),
    (["raises"], ["fails on import", "RuntimeError: no GPU here"]),
    (["exits.py"], ["fails on import", "SystemExit"]),
    (["skips.py"], ["fails on import", "away"]),
    (["syntax.py"], ["fails on import", "SyntaxError", "line 1"]),
    (["needs.py"], ["fails on import", "no_such_library"]),
    (["needs"], ["fails on import", "no_such_library"]),
    (["undefined.py"], ["fails on import", "NameError", "undefined"]),
    (["claims.py"], ["'acumulate'", "choose from", "accumulate", "nan_max"]),
    (["claims_value.py"], ["`algorithm` is 'fast'", "winograd(m,r)"]),
    (["claims_type.py"], ["claims_type.py"]),
    (["claims_text.py"], ["`refconv` of conv2d is 'fft'", "must be a dict"]),
    (["claims_array.py"], ["'tensor'", "numpy, torch"]),
    (["claims_both.py"], ["epilogue='separate'", "epilogue='fused'", "one at a time"]),
    ([":conv2d"], ["':conv2d'"]),
    ([""], ["''"]),
    (["..good:conv2d"], ["'..good:conv2d'"]),
    # options
    ([CONV, "--operation", "conv4d"], ["'conv4d'", "conv1d", "correlate"]),
    ([CONV, "--operation", "convolve"], ["none of the operations convolve", "it has conv2d"]),
    ([CONV, "--profile", "slow"], ["'slow'", "quick, standard, thorough"]),
    ([CONV, "--seed", "x"], ["'x'", "integer"]),
    ([CONV, "--dtype", "float8"], ["'float8'", "float32", "bfloat16"]),
    ([CONV, "--dtype", "complex64"], ["complex64", "for conv2d", "float32"]),
    ([CONV, "--layout", "CHWN"], ["'CHWN'", "NCHW, NHWC"]),
    ([CONV, "--array", "list"], ["'list'", "numpy, torch"]),
    ([CONV, "--device", "cuda"], ["'cuda'", "must be cpu"]),
    ([CONV, "--accumulate", "int8"], ["`accumulate` is 'int8'", "tensor-core"]),
    ([CONV, "--algorithm", "fast"], ["'fast'", "winograd(m,r)", "fft"]),
    ([CONV, "--algorithm", "winograd(4)"], ["'winograd(4)'", "winograd(m,r)"]),
    ([CONV, "--algorithm", "winograd(0,3)"], ["'winograd(0,3)'", "positive"]),
    ([CONV, "--input-rounding", "tf16"], ["`input_rounding` is 'tf16'", "none, tf32, bf16"]),
    ([CONV, "--epilogue", "x"], ["'x'", "fused, separate"]),
    ([CONV, "--nan-max", "x"], ["'x'", "propagate, drop"]),
    ([CONV, "--ties", "x"], ["'x'", "first, any"]),
    ([CONV, "--ceil-rule", "x"], ["'x'", "standard, extra"]),
    ([CONV, "--subnormals", "x"], ["'x'", "either, ieee, ftz"]),
    ([CONV, "--json", "folder"], ["'folder'", "a folder"]),
    ([CONV, "--json", "no/such/v.json"], ["no/such/v.json", "cannot be written", "no such file"]),
    ([CONV, "--html", "no/such/v.html"], ["--html is 'no/such/v.html'", "cannot be written", "no such file"]),
    ([CONV, "--json", "good.py/v.json"], ["good.py/v.json", "cannot be written"]),
    # --fix
    ([CONV, "--fix", "stride"], ["'stride'", "ARGUMENT=VALUE", "kernel_size"]),
    ([CONV, "--fix", "strides=1"], ["'strides=1'", "stride"]),
    ([CONV, "--fix", "stride="], ["'stride='", "integer of at least 1"]),
    ([CONV, "--fix", "stride=1.5"], ["'stride=1.5'", "integer"]),
    ([CONV, "--fix", "stride=0"], ["stride=0", "at least 1"]),
    ([CONV, "--fix", "stride=1,0"], ["stride=1,0", "at least 1"]),
    ([CONV, "--fix", "stride=1,2,3"], ["`stride` has 3 values", "2 axes"]),
    ([CONV, "--fix", "kernel_size=0"], ["kernel_size=0", "at least 1"]),
    ([CONV, "--fix", "kernel_size=3,3,3"], ["`kernel_size` has 3 values", "2 axes"]),
    ([CONV, "--fix", "input_size=8,8,8"], ["`input_size` has 3 values"]),
    ([CONV, "--fix", "input_size=0"], ["input_size=0", "at least 1"]),
    ([CONV, "--fix", "padding=-1"], ["padding=-1", "at least 0", "same or valid"]),
    ([CONV, "--fix", "padding=full"], ["padding=full", "same or valid"]),
    ([CONV, "--fix", "padding=same", "--fix", "stride=2"], ["padding=same", "stride=2", "must be 1"]),
    ([CONV, "--fix", "dilation=0"], ["dilation=0", "at least 1"]),
    ([CONV, "--fix", "groups=0"], ["groups=0", "at least 1"]),
    ([CONV, "--fix", "groups=2,2"], ["groups=2,2", "an integer of at least 1"]),
    ([CONV, "--fix", "groups=3", "--fix", "in_channels=4"], ["`groups` (=3) must divide `in_channels` (=4)"]),
    ([CONV, "--fix", "groups=3", "--fix", "out_channels=4"], ["`groups` (=3) must divide `out_channels` (=4)"]),
    ([CONV, "--fix", "batch=-1"], ["batch=-1", "at least 0"]),
    ([CONV, "--fix", "in_channels=0"], ["in_channels=0", "at least 1"]),
    ([CONV, "--fix", "stride=1", "--fix", "stride=2"], ["twice", "stride"]),
    ([CONV, "--fix", "ceil_mode=true"], ["ceil_mode", "conv2d"]),
    ([CONV, "--fix", "output_padding=1"], ["output_padding", "conv2d"]),
    ([CONV, "--fix", "kernel_size=5", "--fix", "input_size=3", "--fix", "padding=0"], ["kernel_size=5", "(3, 3)"]),
    (["good.py:max_pool2d", "--fix", "ceil_mode=2"], ["ceil_mode=2", "true or false"]),
    (["good.py:max_pool2d", "--fix", "padding=2", "--fix", "kernel_size=3"], ["`padding` is 2", "half", "(=3)"]),
    (["good.py:max_pool2d", "--fix", "padding=same"], ["padding=same", "max_pool2d"]),
    (["good.py:max_pool2d", "--fix", "groups=2"], ["groups", "max_pool2d"]),
    (["good.py:conv1d", "good.py:conv2d", "--fix", "kernel_size=3,5"], ["conv1d", "2 values"]),
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the files."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield tmp_path
    for name in FILES:
        sys.modules.pop(Path(name).stem, None)


def _one_line(err, begins):
    lines = err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith(begins), err
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"), [row for row in WRONG_INPUT if row[1]], ids=[" ".join(a) for a, s in WRONG_INPUT if s]
)
def test_a_mistake_is_one_line(here, capfd, arguments, said):
    """`refconv check` says in one line what came and what must be; exit code 4."""
    assert cli.main(["check", *arguments]) == 4
    out, err = capfd.readouterr()
    line = _one_line(err, "refconv")
    assert out == ""
    for part in said:
        assert part in line


SOME = [arguments for arguments, said in WRONG_INPUT if said][::8]


@pytest.mark.parametrize("arguments", SOME, ids=map(" ".join, SOME))
def test_pytest_says_the_same_of_a_mistake(here, capfd, arguments):
    """Both entries read one table of options (refconv/options.py), so some of each kind are enough."""
    assert cli.main(["check", *arguments]) == 4
    line = _one_line(capfd.readouterr().err, "refconv")
    assert _through_pytest(arguments) == 4
    assert _one_line(capfd.readouterr().err, "ERROR: ") == f"ERROR: {line.partition(': ')[2]}"


def _through_pytest(arguments):
    targets = arguments[: next((i for i, a in enumerate(arguments) if a.startswith("--")), len(arguments))]
    folder = str(cli.properties_folder())
    with cli._alone():
        return pytest.main([folder, "-q", *[f"--impl={t}" for t in targets], *arguments[len(targets) :]])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "TARGET"),
        (["chek", "x"], "'check', 'replay', 'list', 'schema'"),
        (["check", CONV, "--sed", "x", "--nope"], "--nope"),
        (["check", CONV, "--seed"], "--seed: expected one argument"),
    ],
)
def test_a_wrong_command_is_one_line(here, capsys, arguments, said):
    """What argparse finds is one line too, and says where help is."""
    assert cli.main(arguments) == 4
    out, err = capsys.readouterr()
    line = _one_line(err, "refconv")
    assert said in line and "--help" in line and out == ""


def test_a_missing_library_says_how_to_get_it(here, capfd, monkeypatch):
    """An adapter whose library is not there names it."""
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    assert cli.main(["check", "torch"]) == 4
    assert "pip install 'refconv[torch]'" in _one_line(capfd.readouterr().err, "refconv: target 'torch' needs torch")


def test_a_missing_array_library_says_how_to_get_it(here, capfd, monkeypatch):
    """So does --array."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["check", CONV, "--array", "torch"]) == 4
    assert "pip install 'refconv[torch]'" in _one_line(capfd.readouterr().err, "refconv: --array torch needs torch")


def test_a_device_that_is_not_there(here, capfd):
    """What the library says of the device is passed on."""
    pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    assert cli.main(["check", CONV, "--array", "torch", "--device", "nonsense"]) == 4
    assert "'nonsense'" in _one_line(capfd.readouterr().err, "refconv: --device")


def test_an_unwritable_file_is_found_before_the_run(here, capfd):
    """The subject is not even imported."""
    (here / "loud.py").write_text("print('imported')\n")
    assert cli.main(["check", "loud.py", "--json", "no/v.json"]) == 4
    out, err = capfd.readouterr()
    assert "imported" not in out + err


# ---------------------------------------------------------------------------------------------- help


def test_help_teaches(capsys):
    """Examples, the exit codes, every option with what it may be."""
    assert cli.main(["check", "--help"]) == 0
    text = capsys.readouterr().out
    for part in ("examples:", "exit code: 0 correct, 1 wrong", *(flags[0] for flags, _ in options.OPTIONS)):
        assert part in text
    assert max(map(len, cli.CHECK.splitlines() + cli.EXAMPLES.splitlines() + cli.START.splitlines())) <= 80
    assert cli.main([]) == 0
    assert "refconv check mine.py:conv2d" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"refconv {__version__}\n"


def test_list_names_all(capsys):
    """Each short name and each operation with its call, on one line each where nothing limits the width."""
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for name in (*ADAPTERS, *OPERATIONS):
        assert re.search(rf"^{name} ", text, re.M), name
    assert "-> (grad_input, grad_weight, grad_bias)" in text
    assert "\x1b" not in text


# ---------------------------------------------------------------------------------------------- verdicts

SIGNAL = """
import numpy as np, scipy.signal, os, warnings
print("VERDICT: correct")
os.write(1, b"VERDICT: correct\\n")
def convolve(in1, in2, mode="full"):
    print("VERDICT: correct", flush=True)
    os.write(1, b"VERDICT: correct\\n")
    warnings.warn("careful")
    {body}
"""
RIGHT = "return scipy.signal.convolve(in1, in2, mode, method='direct')"
WRONG = "return np.zeros_like(scipy.signal.convolve(in1, in2, mode, method='direct'))"
VERDICTS = {
    "right": (RIGHT, 0, "correct"),
    "wrong": (WRONG, 1, "wrong"),
    "declines": ("raise NotImplementedError('not for\\x1b[2J you')", 5, "not verified"),
}


@pytest.fixture
def brief(monkeypatch):
    """As few cases as a verdict can rest on."""
    monkeypatch.setitem(options.PROFILES, "quick", 12)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_exit_code_is_the_verdict(tmp_path, monkeypatch, capfd, brief, name):
    """The first line is the verdict, whatever the subject prints."""
    body, code, status = VERDICTS[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subject.py").write_text(SIGNAL.format(body=body))
    assert cli.main(["check", "subject.py"]) == code
    out, err = capfd.readouterr()
    assert out.splitlines()[0] == f"VERDICT: {status}"
    assert sum(line.startswith("VERDICT") for line in out.splitlines()) == 1 and "careful" not in err
    assert ("  | careful" in out or "  | VERDICT" in out) == (status == "wrong")  # with the violation, marked as said
    assert "\x1b" not in out
    assert {path.name for path in tmp_path.iterdir()} <= {
        "subject.py",
        "__pycache__",
        *["refconv-failures"] * (status == "wrong"),
    }
    if name == "declines":
        assert "too few calls were accepted" in out and re.search(r"declined: convolve: \d+ calls.*: not for", out)
        assert "not found out" in out and "more laws" in out
    if name == "wrong":
        assert "laws broken" in out and "exact" in out


def test_two_subjects_two_verdicts(tmp_path, monkeypatch, capfd, brief):
    """Two functions for one operation are judged each for itself; the worse one decides."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(SIGNAL.format(body=RIGHT) + "\nmine = convolve\n")
    (tmp_path / "b.py").write_text(SIGNAL.format(body=WRONG))
    assert cli.main(["check", "a.py:convolve", "convolve=a.py:mine", "b.py", "a.py:convolve"]) == 1
    out = capfd.readouterr().out
    assert re.findall(r"VERDICT: (.*)\n(\S+)", out) == [
        ("correct", "a.py:convolve"),
        ("correct", "convolve=a.py:mine"),
        ("wrong", "b.py"),
    ]


def test_a_fault_of_ours_is_not_the_subjects(tmp_path, monkeypatch, capfd, brief):
    """An internal error ends in exit code 3, with the traceback and whose fault it is; nothing is called correct."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(SIGNAL.format(body=RIGHT))
    monkeypatch.setattr("refconv.judge.untouched", lambda *_: 1 / 0)
    assert cli.main(["check", "a.py"]) == 3
    out, err = capfd.readouterr()
    assert out.startswith("VERDICT: not verified\n")
    assert "ZeroDivisionError" in err and "fault of refconv" in err


def test_a_fault_before_the_run_is_ours_too(tmp_path, monkeypatch, capfd):
    """Also where nothing could be judged yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "effort", lambda option: 1 / 0)
    assert cli.main(["check", "refconv"]) == 3
    out, err = capfd.readouterr()
    assert out == "" and "ZeroDivisionError" in err and "fault of refconv" in err


# -------------------------------------------------------------------------------------- as a program


def _python(*arguments, **keywords):
    environment = {**os.environ, **keywords.pop("env", {})}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, env=environment, **keywords
    )


@pytest.mark.parametrize("arguments", [["nope"], ["raises.py"], [CONV, "--fix", "stride=0"]], ids=lambda a: " ".join(a))
def test_a_mistake_as_a_program(here, arguments):
    """The same from a shell."""
    done = _python("-m", "refconv.cli", "check", *arguments)
    assert done.returncode == 4 and done.stdout == ""
    _one_line(done.stderr, "refconv: ")


SLOW = """
import time
def convolve(in1, in2, mode="full"):
    open("called", "w").close()
    time.sleep(0.05)
    {body}
"""


SLOW_AT_FIRST = """
import time
def convolve(in1, in2, mode="full", wait=[2.5]):
    time.sleep(wait.pop() if wait else 0)
"""


SWALLOWS = """
    try:
        time.sleep(0.05)
    except BaseException:
        pass
    import refconv
    return refconv.convolve(in1, in2, mode)
"""


@pytest.mark.parametrize(
    ("body", "found"),
    [("raise NotImplementedError", "not verified"), ("return 0", "wrong"), (SWALLOWS, "not verified")],
    ids=["declines", "wrong", "swallows"],
)
def test_an_interrupt_ends_cleanly(tmp_path, body, found):
    """Ctrl-C: what was found so far, exit code 2, no traceback, and nothing is called correct."""
    (tmp_path / "slow.py").write_text(SLOW.format(body=body))
    profile = "quick" if body == SWALLOWS else "thorough"  # there the law at hand comes to its end
    command = [sys.executable, "-m", "refconv.cli", "check", "slow.py", "--profile", profile]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "called").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert out.startswith(f"VERDICT: {found}\n") and re.search(r"of \d+ laws judged", out)
    assert "found so far" in out
    assert "refconv: interrupted" in err and "Traceback" not in err


def test_a_terminal_gets_a_bar_and_colour(tmp_path):
    """A bar that goes away, a coloured verdict, a table that fits the window."""
    pty = pytest.importorskip("pty", reason="this platform has no terminals")
    (tmp_path / "subject.py").write_text(SIGNAL.format(body=WRONG))
    program = (
        "import sys; from refconv import cli, options; options.PROFILES['quick'] = 1; "
        "sys.exit(cli.main(['check', 'subject.py']))"
    )
    here, there = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm", "COLUMNS": "70"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=there, stderr=there, env=environment
    )
    os.close(there)
    seen = _all_of(here).decode()
    assert process.wait(60) == 1
    os.close(here)
    assert "\x1b[1;31mVERDICT: wrong" in seen and re.search(r"/\d+", seen)
    table = next(line for line in seen.splitlines() if "operation" in line and "triples" in line)
    assert "laws" in table and "oracle" not in table


def _all_of(descriptor):
    data = b""
    while True:
        try:
            more = os.read(descriptor, 65536)
        except OSError:  # the other end is closed
            return data
        if not more:
            return data
        data += more


def test_a_run_of_seconds_shows_that_it_goes_on(tmp_path):
    """Without a terminal, lines on standard error; standard output is the report alone."""
    (tmp_path / "slow.py").write_text(SLOW_AT_FIRST)
    program = (
        "import sys; from refconv import cli, options; options.PROFILES['quick'] = 1; "
        "sys.exit(cli.main(['check', 'slow.py']))"
    )
    done = _python("-c", program, cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(r"^\d+/\d+ laws judged, 1 broken; convolve: ", done.stderr, re.M)
    assert done.stdout.startswith("VERDICT: wrong\n") and "1 broken" not in done.stdout


def test_what_was_broken_is_asked_for_first(here):
    """A second run with another seed begins with the law and the call that were broken; mended, it holds."""
    (here / "tap.py").write_text(
        "import refconv\ndef conv1d(*a, **k):\n    return refconv.conv1d(*a, **k) * (a[1].shape[-1] != 5)\n"
    )
    program = (
        "import sys; from refconv import cli, options; options.PROFILES['quick'] = 12; "
        "sys.exit(cli.main(['check', 'tap.py', '--seed', sys.argv[1], '--json', 'out.json']))"
    )
    first = _python("-c", program, "0", cwd=here)
    assert first.returncode == 1, first.stderr
    broken = {law["law"]: law for law in json.loads((here / "out.json").read_text())["verdicts"][0]["laws"]}
    assert broken["every_element_is_within_the_allowed_error"]["cases"] > 1
    second = _python("-c", program, "1", cwd=here)
    laws = json.loads((here / "out.json").read_text())["verdicts"][0]["laws"]
    assert second.returncode == 1 and laws[0]["status"] == "violated" and laws[0]["cases"] == 1
    assert laws[0]["violation"]["case"] == broken[laws[0]["law"]]["violation"]["case"]
    (here / "tap.py").write_text("from refconv import conv1d\n")
    assert _python("-c", program, "1", cwd=here).returncode == 0


def test_who_reads_a_part_only_is_no_mistake():
    """As `refconv schema | head -1` does: nothing is said, and nothing is left that cannot be flushed."""
    command = [sys.executable, "-c", "from refconv.cli import main; exit(main(['schema']))"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert (process.communicate()[1], process.returncode) == ("", 141)
