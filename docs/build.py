"""Builds the pages of this folder as HTML, with their pictures drawn in light and dark: `python -m docs.build`.

Nothing is fetched: text, code and pictures come from this checkout, and the pages need no network either.
"""

from __future__ import annotations

import argparse
import html
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from markdown_it import MarkdownIt

from docs.pictures import PICTURES, THEMES, draw

__all__ = ["build", "main"]

FOLDER = Path(__file__).parent
STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1f2328; --faint: #d0d7de; --code: #f6f8fa; --link: #0969da }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --ink: #e6edf3; --faint: #3d444d; --code: #161b22; --link: #58a6ff }
}
body { background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; max-width: 48rem;
       margin: 2rem auto; padding: 0 1rem }
h1, h2 { line-height: 1.2; margin-top: 2.2em } h1 { margin-top: 0.5em }
a { color: var(--link) } img { max-width: 100%; height: auto }
pre, code { font: 0.875rem/1.5 ui-monospace, monospace; background: var(--code); border-radius: 6px }
pre { padding: 0.8rem 1rem; overflow-x: auto } code { padding: 0.1em 0.3em } pre code { padding: 0 }
td code { overflow-wrap: anywhere } table { border-collapse: collapse } th, td { border: 1px solid var(--faint);
        padding: 0.3rem 0.6rem; text-align: left; vertical-align: top }
nav a { margin-right: 1rem }
"""
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style>
<nav>{links}</nav>
<main>
{body}
</main></html>
"""


def build(target: Path) -> list[Path]:
    """All pages and pictures in a folder, which takes the place of an older one; the files written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    pages = sorted(FOLDER.glob("*.md"))
    links = " ".join(f'<a href="{page.stem}.html">{_title(page)}</a>' for page in pages)
    for page in pages:
        text = PAGE.format(title=_title(page), style=STYLE, links=links, body=_body(page))
        (made / f"{page.stem}.html").write_text(text, encoding="utf-8")
    for name in PICTURES:
        for theme, colours in THEMES.items():
            _progress(f"{name} ({theme})")
            draw(name, colours).savefig(made / f"{name}-{theme}.svg", metadata={"Date": None})
    _progress("")
    made.chmod(0o755)
    if target.exists():
        shutil.rmtree(target)
    made.rename(target)
    return sorted(target.iterdir())


def _progress(what: str) -> None:
    """On a terminal, one line that is overwritten."""
    if sys.stderr.isatty():
        print("\r" + what.ljust(50) + "\r" * (not what), end="", file=sys.stderr, flush=True)


def _title(page: Path) -> str:
    return html.escape(page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# "))


def _body(page: Path) -> str:
    """The page as HTML; a picture's name becomes both its files, a page's name its HTML."""
    body = MarkdownIt("commonmark").enable("table").render(page.read_text(encoding="utf-8"))
    body = body.replace("\n\n</code>", "\n</code>")
    body = re.sub(r'href="([\w-]+)\.md', r'href="\1.html', body)
    return re.sub(r'<img src="(\w+)" alt="(.*?)"\s*/?>', _picture, body)


def _picture(found: re.Match[str]) -> str:
    name, alt = found.groups()
    if name not in PICTURES:
        raise ValueError(f"a page shows the picture {name!r}, but must show one of {', '.join(PICTURES)}")
    dark = f'<source srcset="{name}-dark.svg" media="(prefers-color-scheme: dark)">'
    return f'<picture>{dark}<img src="{name}-light.svg" alt="{alt}"></picture>'


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description=__doc__)
    parser.add_argument("--to", default=str(FOLDER / "site"), metavar="FOLDER", help="default: %(default)s")
    files = build(Path(parser.parse_args(arguments).to))
    print(f"{len(files)} files: open {next(f for f in files if f.name == 'gallery.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
