"""Builds asv's dashboard with its scripts beside it, so that it opens without the internet.

python -m benchmarks.dashboard [--screenshots FOLDER]

`asv publish` names scripts of other hosts. Here they are fetched once, as npm packages of exact versions whose
checksums are known, and put into the dashboard; a name that is not known is an error. `asv preview` then serves it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import functools
import hashlib
import http.server
import json
import re
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
HTML, FETCHED = ROOT / ".asv" / "html", ROOT / ".asv" / "npm"

# Package, the sha512 that npm states of it, and for each file that a page names the one in the package.
PACKAGES = {
    "jquery-3.3.1": (
        "Ubldcmxp5np52/ENotGxlLe6aGMvmF4R8S6tZjsP6Knsaxd/xp3Zrh50cG93lR6nPXyUFwzN3ZSOQI0wRJNdGg==",
        {"jquery-3.3.1.min.js": "dist/jquery.min.js"},
    ),
    "flot-0.8.3": (
        "xg2otcTJDvS+ERK+my4wxG/ASq90QURXtoM4LhacCq0jQW2jbyjdttbRNqU2cPykrpMvJ6b2uSp6SAgYAzj9tQ==",
        {
            "jquery.flot.min.js": "jquery.flot.js",
            "jquery.flot.time.min.js": "jquery.flot.time.js",
            "jquery.flot.selection.min.js": "jquery.flot.selection.js",
            "jquery.flot.categories.min.js": "jquery.flot.categories.js",
        },
    ),
    "flot-orderbars-1.0.0": (
        "Jv51fvzevUjNXEeozpwEKfPjhiZhfiJddv0WHjduUTCmSF+7T5K7C9c9Y1wIVmUhDBv5fLMjgbwKecT0GIKPZA==",
        {"jquery.flot.orderBars.js": "js/jquery.flot.orderBars.js"},
    ),
    "stupid-table-plugin-1.1.3": (
        "2Vk7XouQPxUQPRe9w0Fu7ZZ8kHLK7rDoLMsCgtKxRNJ7f4dSOGvW9CkHsq5wD6QsaEnWoyLBYH3xOEsrK3yWBg==",
        {"stupidtable.min.js": "stupidtable.min.js"},
    ),
    "blueimp-md5-2.19.0": (
        "DRQrD6gJyy8FbiE4s+bDoXS9hiW3Vbx5uCdwvcCf3zLHL+Iv7LtGHLpr+GZV8rHG8tK766FGYBwRbu8pELTt+w==",
        {"md5.min.js": "js/md5.min.js"},
    ),
    "bootstrap-3.4.1": (
        "yN5oZVmRCwe5aKwzRj6736nSmKDX7pLYwsXiCj/EYmo16hODaBiT4En5btW/jhBF/seV+XMx3aYwukYC3A49DA==",
        {"bootstrap.min.js": "dist/js/bootstrap.min.js", "bootstrap.min.css": "dist/css/bootstrap.min.css"},
    ),
}
REMOTE = re.compile(r"""(?P<name>src|href)="https://[^"]*/(?P<file>[^"/]+\.(?:js|css))"(?P<rest>[^>]*)>""")
PAGES = {
    "grid": "#/",
    "graph": "#speed.Forward.track_torch?p-layer='vgg-256%4056'",
    "regressions": "#regressions?sort=3&dir=desc",
}


def archive(package: str, checksum: str) -> Path:
    """The package as npm packs it, fetched where it is not there; raises ValueError where it is another."""
    path = FETCHED / f"{package}.tgz"
    if not path.exists():
        FETCHED.mkdir(parents=True, exist_ok=True)
        name, _, number = package.rpartition("-")
        print(f"fetching {name} {number}", flush=True)
        subprocess.run(["npm", "pack", "--silent", f"{name}@{number}"], cwd=FETCHED, check=True, capture_output=True)
    found = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if found != checksum:
        raise ValueError(f"{path} has the checksum {found}, but must have {checksum}: delete it and try again")
    return path


def vendored(page: str) -> tuple[str, list[str]]:
    """A page that names no other host, and the files it names instead.

    >>> vendored('<script src="https://code.jquery.com/jquery-3.3.1.min.js" integrity="sha256-x"></script>')
    ('<script src="vendor/jquery-3.3.1.min.js"></script>', ['jquery-3.3.1.min.js'])
    """
    known = {file for _, files in PACKAGES.values() for file in files}
    named = [match["file"] for match in REMOTE.finditer(page)]
    if missing := [file for file in named if file not in known]:
        raise ValueError(f"the page names {', '.join(missing)}: add its package to PACKAGES in {__file__}")
    page = REMOTE.sub(lambda m: f'{m["name"]}="vendor/{m["file"]}">', page)
    if loads := re.findall(r"<(?:script|link|img|iframe)[^>]*https?://[^>]*>", page):
        raise ValueError(f"the page still loads from another host: {loads[0]}")
    return page, named


def vendor(html: Path) -> None:
    """Put the scripts of other hosts into a published dashboard."""
    index = html / "index.html"
    page, named = vendored(index.read_text())
    (html / "vendor").mkdir(exist_ok=True)
    for package, (checksum, files) in PACKAGES.items():
        if wanted := {file: inside for file, inside in files.items() if file in named}:
            with tarfile.open(archive(package, checksum)) as packed:
                for file, inside in wanted.items():
                    member = packed.extractfile(f"package/{inside}")
                    assert member is not None
                    (html / "vendor" / file).write_bytes(member.read())
    index.write_text(page)


@contextlib.contextmanager
def served(html: Path):
    """The address under which the folder can be read, on this machine alone."""
    handler = functools.partial(_Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *arguments):
        pass


def looked_at(html: Path, folder: Path) -> list[str]:
    """Pictures of the grid, one graph and the regressions; the hosts that the browser asked for other than this one."""
    folder.mkdir(parents=True, exist_ok=True)
    hosts: set[str] = set()
    with served(html) as address:
        for name, place in PAGES.items():
            log = folder / f"{name}.netlog.json"
            browser = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
            browser += ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
            browser += ["--virtual-time-budget=10000", f"--log-net-log={log}"]
            picture = folder / f"{name}.png"
            subprocess.run(
                [*browser, f"--screenshot={picture}", address + place], check=True, capture_output=True, timeout=120
            )
            hosts |= _hosts(json.loads(log.read_text()))
            log.unlink()
    if not hosts:
        raise ValueError(f"the log of {address} holds no request: it cannot show that there was none to another host")
    return sorted(hosts - {"127.0.0.1"})


def _hosts(log: dict) -> set[str]:
    """The hosts of all that pages asked for, by Chromium's log of its network: its own requests have no origin."""
    started = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in log["events"] if event["type"] == started and "params" in event]
    return {urlsplit(a["url"]).hostname or "" for a in asked if a.get("initiator", "").startswith("http")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__.partition("\n")[0])
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="look at it with Chromium, keep pictures")
    options = parser.parse_args()
    subprocess.run([sys.executable, "-m", "asv", "publish"], cwd=ROOT, check=True)
    vendor(HTML)
    print(f"{HTML / 'index.html'} needs no other host; `asv preview` serves it")
    if options.screenshots and (others := looked_at(HTML, options.screenshots)):
        print(f"the pages asked for {', '.join(others)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
