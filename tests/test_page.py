"""The page in a browser: nothing runs, nothing is asked for, everything fits, in light and in dark."""

import os
import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

from refconv.report import html
from tests import pages

BROWSERS = ("chromium", "google-chrome")
QUIET = (
    "--no-sandbox",  # what it shows is ours, and it may be started by root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (1280, 400)
LISTEN = "window.refused = []; addEventListener('securitypolicyviolation', e => refused.push(e.violatedDirective))"


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window. Where CI is set, one that is missing is a failure."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("the page cannot be looked at: no chromium on this machine; as root, apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page of each kind, as files."""
    folder = tmp_path_factory.mktemp("pages")
    verdicts = {"correct": pages.judged("correct"), "wrong": pages.judged("wrong"), "hostile": pages.hostile()}
    texts = {name: html.page([one]) for name, one in verdicts.items()}
    texts["all"] = html.page([*verdicts.values(), pages.large()])
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@contextmanager
def _opened(browser, path, width=1280, scheme="light"):
    """The page of a file, with all that it asked for and said: requests, console, errors, dialogs."""
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        context.add_init_script(LISTEN)
        page, heard = context.new_page(), []
        page.set_default_timeout(10_000)
        page.on("request", lambda request: heard.append(("request", request.url)))
        page.on("requestfailed", lambda request: heard.append((request.failure, request.url)))
        page.on("console", lambda message: heard.append((message.type, message.text)))
        page.on("pageerror", lambda error: heard.append(("error", str(error))))
        page.on("dialog", lambda dialog: heard.append(("dialog", dialog.message)))
        page.goto(path.as_uri())
        yield page, heard


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["correct", "wrong", "hostile", "all"])
def test_a_page_is_quiet_and_fits(browser, written, name, width, scheme):
    """One request, for itself; no word on the console; no wider than the window, whatever is folded out."""
    path = written / f"{name}.html"
    with _opened(browser, path, width, scheme) as (page, heard):
        for unfold in (False, True):
            if unfold:
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= window == width
            outside = "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, pre')"
            outside += " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
            assert page.evaluate(outside) == []
        assert heard == [("request", path.as_uri())]
        assert page.evaluate("refused") == []
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"
        assert dark == (scheme == "dark")


def test_hostile_words_do_nothing(browser, written):
    """They are there, as text, and the verdict above them is the judge's."""
    with _opened(browser, written / "hostile.html") as (page, heard):
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.ran") is None
        assert len(heard) == 1
        shown = page.inner_text("body")
        for words in ("<script>window.ran = 1</script>", '"><img src=x onerror="window.ran = 1">', "⟨U+202E⟩gnirts"):
            assert words in shown
        assert page.evaluate("document.querySelectorAll('script, img, h1').length") == 1
        assert page.inner_text("h1 .word") == "wrong"
        assert page.is_visible("text=What is wrong")  # no style of theirs hides it


def test_what_would_slip_through_would_be_refused(browser, written, tmp_path):
    """The page's policy stops a script, an image, a style and a frame, and the tests above would hear of each."""
    bad = "<script>window.ran = 1</script><img src='https://example.org/x.png' onerror='window.ran = 2'>"
    bad += "<style>body { display: none }</style><p style='color: red'>x</p><iframe src='https://example.org'></iframe>"
    text = (written / "correct.html").read_text(encoding="utf-8")
    path = tmp_path / "bad.html"
    path.write_text(text.replace("</body>", f"{bad}</body>"), encoding="utf-8")
    with _opened(browser, path) as (page, heard):
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.ran") is None
        refused = set(page.evaluate("refused"))
        assert {"script-src-elem", "img-src", "style-src-elem", "style-src-attr", "frame-src"} <= refused
        outside = {kind for kind, url in heard if url.startswith("https://example.org")}
        assert outside == {"request", "csp"}, heard  # wanted, and failed by the policy before it left
        assert len([kind for kind, _ in heard if kind == "error"]) >= 5
        assert page.is_visible("main")


def test_pictures_are_drawn(browser, written):
    """The wrong element, what it is computed from, bars and squares have a size, and colours of their own."""
    with _opened(browser, written / "wrong.html") as (page, _):
        for chosen in (".mark.wrong", ".mark.read", ".bar", ".matrix .level1", "svg .z rect"):
            assert page.locator(chosen).first.bounding_box()["width"] > 3, chosen
        fill = "e => getComputedStyle(e).fill"
        cells = page.locator("svg .p5 rect").first.evaluate(fill), page.locator("svg .n5 rect").first.evaluate(fill)
        assert cells == ("rgb(143, 53, 9)", "rgb(23, 74, 131)")


def test_a_printed_page_shows_what_is_folded(browser, written):
    """Paper can be neither clicked on nor scrolled."""
    with _opened(browser, written / "wrong.html") as (page, _):
        shown = (
            "[...document.querySelectorAll('details pre')].every(e => e.checkVisibility({contentVisibilityAuto: true}))"
        )
        assert page.evaluate(shown) is False
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 794, "height": 1123})  # A4
        assert page.evaluate(shown) is True
        assert page.evaluate("document.documentElement.scrollWidth") == 794
