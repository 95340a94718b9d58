"""The summary in Markdown: what stands in it, and that nothing of the subject's marks anything up."""

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

import refconv
from refconv import cli, options
from refconv.judge import Violation
from refconv.law import Record
from refconv.report import markdown
from refconv.subject import Subject
from refconv.verdict import CENTRAL, Verdict
from refconv.xfails import Xfail

HOSTILE = (
    "</pre></code><script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](http://b.example/c)"
    " **bold** `tick` | cell | https://d.example @someone #1 ~~e~~ <!-- &lt; \x1b[2J\x07 \\"
)


def _verdict(name="mine.py", printed="", reason="off", status="violated"):
    subject = Subject(name, {"conv2d": refconv.conv2d, "max_pool2d": refconv.max_pool2d})
    records = [
        Record(CENTRAL, "oracle", "It is so.", name, op, True, status="verified") for op in ("conv2d", "max_pool2d")
    ]
    if status != "verified":
        records[0].status, records[0].violation, records[0].folder = status, Violation(reason), "failures/it's"
        records[0].violation.printed = printed
    return Verdict(subject, records, profile="quick", xfails=[Xfail("max_pool2d", CENTRAL, reason)])


class _Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(attrs)

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)


def test_what_stands_in_it():
    """Verdict, claim, a row for each operation, the first violation with its replay, entries that pass."""
    page = _Page(markdown.summary([_verdict(), _verdict("other", status="verified")]))
    for part in (
        "refconv: wrong",
        "refconv: correct",
        "mine.py against the default claim; float32, float64; quick",
        "max_pool2d",
        "conv2d: It is so.\noff\n",
        """again    refconv replay 'failures/it'"'"'s'""",
        "UNEXPECTED PASS: operation 'max_pool2d'",
    ):
        assert part in page.text, part
    assert {"h3", "table", "pre"} <= page.tags


@pytest.mark.parametrize("where", ["name", "printed", "reason"])
def test_nothing_of_the_subjects_is_markup(where):
    """Neither HTML nor Markdown: the page has the same tags and attributes as with plain text, and shows the text."""
    plain = _Page(markdown.summary([_verdict(**{where: "plain"})]))
    page = _Page(markdown.summary([_verdict(**{where: HOSTILE})]))
    assert page.tags == plain.tags and page.attributes == plain.attributes
    shown = " ".join(page.text.split())
    for part in (
        "<script>alert(1)</script>",
        "[a](javascript:alert(1))",
        "**bold** `tick` | cell |",
        "~~e~~ <!-- &lt;",
    ):
        assert part in shown, part
    assert "\x1b" not in page.text and "\x07" not in page.text


def test_the_parser_would_see_it():
    """The page that this test reads has what it looks for, where nothing is escaped."""
    assert {"script", "img", "strong", "code", "s"} <= _Page(HOSTILE.replace("<!--", "")).tags


def test_it_is_added_where_actions_says(tmp_path, monkeypatch, capfd):
    """To what other steps have written there; nowhere without the variable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(options.PROFILES, "quick", 1)
    arguments = ["check", "refconv-direct", "--operation", "convolve"]
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert cli.main(arguments) in (0, 5) and not list(tmp_path.iterdir())
    (tmp_path / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    code = cli.main(arguments)
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("before\n### refconv: ") and "convolve" in text
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/summary.md")
    assert cli.main(arguments) == 4 and code != 4
    assert "GITHUB_STEP_SUMMARY is 'no/summary.md', but cannot be written" in capfd.readouterr().err
