"""How long `refconv check` takes for a case, all that a check does included but the start of Python."""

import json
import tempfile
from pathlib import Path

DEVICES = ["cpu", "cuda"]


class Check:
    """Milliseconds a case; 1000 divided by it are cases per second."""

    params = (["in process", "worker"], DEVICES)
    param_names = ("where", "device")
    version = "conv2d of PyTorch, quick, float32"
    timeout = 300

    def setup(self, where, device):
        import torch

        torch.set_num_threads(1)
        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("there is no CUDA device")

    def track_time_per_case(self, where, device):
        import contextlib
        import io
        import time

        from refconv import cli

        options = ["torch", "--operation", "conv2d", "--dtype", "float32", "--device", device]
        options += ["--in-process"] * (where == "in process")
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            found = Path(folder, "verdict.json")
            start = time.perf_counter()
            code = cli.main(["check", *options, "--json", str(found), "--failures", folder])
            seconds = time.perf_counter() - start
            if code:
                raise NotImplementedError(f"this commit's check ends with {code} here")
            laws = json.loads(found.read_text())["verdicts"][0]["laws"]
        return 1000 * seconds / sum(law["accepted"] for law in laws)

    track_time_per_case.unit = "ms"
