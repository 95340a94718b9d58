"""How long `refconv check` takes for a case: drawing it, the call, and the law's judgement."""

import contextlib
import io
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

        from refconv import options

        torch.set_num_threads(1)
        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("there is no CUDA device")
        apart = any("--in-process" in flags for flags, _ in options.OPTIONS)
        if where == "worker" and not apart:
            raise NotImplementedError("this commit judges in its own process only")
        self.options = ["torch", "--operation", "conv2d", "--dtype", "float32", "--device", device]
        self.options += ["--in-process"] * (apart and where == "in process")

    def track_time_per_case(self, where, device):
        from refconv import cli

        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            found = Path(folder, "verdict.json")
            cli.main(["check", *self.options, "--json", str(found)])
            laws = json.loads(found.read_text())["verdicts"][0]["laws"]
        return 1000 * sum(law["seconds"] for law in laws) / sum(law["accepted"] for law in laws)

    track_time_per_case.unit = "ms"
