"""The suite as a user runs it: PyTorch and every reference of ours are judged correct."""

import json
import subprocess
import sys

import pytest

from refconv.adapters import ADAPTERS, USUAL

TARGETS = [name for name in USUAL if ADAPTERS[name].installed]
SHARES = 4  # of the targets, each judged by one command: those of a share have their cases' designs in common


@pytest.mark.parametrize("targets", [TARGETS[start::SHARES] for start in range(SHARES)], ids=" ".join)
def test_judged_correct(targets, tmp_path):
    """The verdict is correct, every law that decides was judged, and the first line says so."""
    path = tmp_path / "verdict.json"
    command = [sys.executable, "-m", "refconv.cli", "check", *targets, "--profile", "quick", f"--json={path}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.startswith("VERDICT: correct\n"), done.stdout + done.stderr
    assert done.returncode == 0 and done.stdout.count("VERDICT: correct\n") == len(targets)
    verdicts = json.loads(path.read_text())["verdicts"]
    assert [verdict["subject"] for verdict in verdicts] == targets
    for verdict in verdicts:
        decided = [law for law in verdict["laws"] if law["required"] and law["status"] != "not applicable"]
        assert decided and {law["status"] for law in decided} == {"verified"}


def test_pytorch_is_among_them():
    """The tests are run where PyTorch is installed: its verdict is what the README promises."""
    assert "torch" in TARGETS
