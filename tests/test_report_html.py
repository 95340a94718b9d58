"""The page's text: everything found is in it, each word is text, and nothing in it asks for anything."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest

import refconv
from refconv import cli, options
from refconv.cover import Design
from refconv.dtypes import numpy_dtype
from refconv.judge import Violation
from refconv.report import html, picture
from refconv.spec import OPERATIONS, Case
from refconv.subject import Subject
from refconv.verdict import CENTRAL, Verdict
from tests import pages

VOID = {"meta", "br"}
ACTIVE = {"script", "img", "link", "iframe", "object", "embed", "base", "form", "input", "use", "image", "animate"}
STYLE = (files("refconv.report") / "page.css").read_text()


class _Read(HTMLParser):
    """Elements with their attributes, and the text outside of them; every element is closed where it must be."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(self.text).split())


def _every_page():
    found = [pages.judged("correct"), pages.judged("wrong"), pages.large(), pages.hostile()]
    none = Verdict(Subject("none", {"conv2d": refconv.conv2d}), [], complete=False)
    return {"correct": found[:1], "wrong": found[1:2], "large": found[2:3], "hostile": found[3:], "all": [*found, none]}


@pytest.fixture(scope="module")
def texts():
    """Each page's text."""
    return {name: html.page(verdicts) for name, verdicts in _every_page().items()}


@pytest.mark.parametrize("name", ["correct", "wrong", "large", "hostile", "all"])
def test_a_page_is_whole_and_asks_for_nothing(texts, name):
    """Well-formed, less than a megabyte, no script, no address, no style but the one that its hash names."""
    text = texts[name]
    read = _Read(text)
    assert len(text.encode()) < 1_000_000
    tags = Counter(tag for tag, _ in read.found)
    assert not set(tags) & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "input",
        "use",
        "image",
    }
    assert tags["style"] == 1 and tags["html"] == tags["main"] == tags["h1"] == 1
    for tag, attributes in read.found:
        assert not [a for a in attributes if a.startswith("on") or a in ("style", "src", "srcset", "action")], tag
        assert attributes.get("href", "#").startswith("#")
    ids = [a["id"] for _, a in read.found if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in read.found if "href" in a} <= set(ids)
    policy = next(a["content"] for _, a in read.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    style = re.search("<style>(.*?)</style>", text, re.S)[1]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert not re.search(r"url\(|@import|expression|\\", style)


@pytest.mark.parametrize("name", ["correct", "wrong", "hostile", "all"])
def test_what_is_drawn_is_said_too(texts, name):
    """Each picture has words, headings skip no level, boxes that scroll can be reached by keyboard."""
    found = _Read(texts[name]).found
    for tag, attributes in found:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or (attributes["role"], bool(attributes["aria-label"])) == (
                "img",
                True,
            )
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0" and attributes["role"] and attributes["aria-label"]
        if tag == "th":
            assert attributes["scope"]
    levels = [int(tag[1]) for tag, _ in found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(b <= a + 1 for a, b in pairwise(levels)), levels


def test_the_page_of_a_correct_subject(texts):
    """Verdict, claim, class by dtype, laws, sensitivity, coverage, environment: the facts of the record."""
    one = pages.judged("correct")
    words = _Read(texts["correct"]).words
    assert one.status == "correct" and "What is wrong" not in words
    seen, wanted = one.coverage("conv2d")
    for part in (
        "correct correct.py:conv2d",
        "against the default claim",
        "1 of 1 laws hold",
        "float32 computes as float32, rounded to nearest",
        f"{seen} of {wanted} feasible combinations of three",
        "one lost tap",
        "The strictest class that explains every result",
        np.__version__,
    ):
        assert part in words, part
    counts = [int(n) for n in re.findall(r'class="count"[^>]*>(\d+)<', texts["correct"])]
    assert sum(counts) == sum(r.errors.total() for r in one.records) == sum(r.accepted for r in one.records[:1])


def test_the_page_of_a_wrong_subject(texts):
    """Diagnosis, place, values, operands and results in pictures and in numbers, how to see it again."""
    one = pages.judged("wrong")
    (record,) = one.violations
    words = _Read(texts["wrong"]).words
    for part in (
        "wrong wrong.py:conv2d flipped kernel: ",
        "output is outside the allowed error",
        repr(record.violation.case),
        f"output[{', '.join(map(str, record.violation.index))}]",
        "got minus exact",
        "weight = [[[[",
        "what the worst element is computed from",
        "No folder was kept of it",
        "no known class explains the results",
    ):
        assert part in words, part
    for mark in ("wrong", "at", "read"):
        assert f'<rect class="mark {mark}" x=' in texts["wrong"].partition('class="legend"')[0]


def test_only_the_neighbourhood_of_an_element_is_drawn(texts):
    """Of large arrays, and the page says which part of how much."""
    words = _Read(texts["large"]).words
    assert "output[1, 9, 34:46, 31:43]" in words and "of 73728 elements are drawn" in words
    assert "input[1, 0, 74:86, 68:80]" in words  # the window of output (40, 37): rows 77 to 83, columns 71 to 77
    assert "The same in numbers" not in words
    assert texts["large"].partition("What comes out")[2].count('class="mark at"') == 4  # three pictures and the legend


def test_every_word_is_text(texts):
    """Markup is escaped, what cannot be seen is named, what has no end is cut."""
    text, read = texts["hostile"], _Read(texts["hostile"])
    words = read.words
    for part in ("<script>window.ran = 1</script>", '"><img src=x', "</style><style>body", "{{ 7 * 7 }}", "&lt;b&gt;"):
        assert part in words, part
    for part in ("⟨U+0000⟩", "⟨U+001B⟩[31mred", "⟨U+202E⟩", "⟨U+2066⟩", "⟨U+200B⟩", "⟨U+FEFF⟩", "⟨U+D800⟩"):
        assert part in words, part
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    assert "more characters)" in words and "xxxx ..." in words
    text.encode()
    assert not [tag for tag, _ in read.found if tag in ("script", "img")]
    attributes = {name for _, attrs in read.found for name in attrs}
    assert not [name for name in attributes if name.startswith("on")]


def test_numbers_that_are_none(texts):
    """NaN and infinities are said, toned on their own, and need no scale."""
    for part in ('class="nan"', 'class="inf"', ">NaN<", ">∞<", ">-∞<", ">-0<", ">2.5e-30<"):
        assert part in texts["hostile"], part


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_can_be_drawn(monkeypatch, name):
    """In every dtype it has, wrong in every element; and where the law compares nothing."""
    few = Design({"stride": ("1",), "bias": ("no",), "batch": ("1", "0")}, [])
    monkeypatch.setattr(html, "plan", lambda operation, scope: few)
    dtypes = ("float32", "bfloat16", "complex64") if OPERATIONS[name].rank == 0 else ("float32", "bfloat16")
    for dtype in dtypes:
        of = _case(OPERATIONS[name], dtype)
        results = {n: np.ones(shape) for n, shape in of.shapes.items()}
        for result, array in results.items():
            said = f"{result}.real" if dtype == "complex64" else result
            found = pages.violation(of, array, array + 1)
            found.result = said
            record = pages.record(CENTRAL, name, "violated", violation=found)
            one = Verdict(Subject("s", {name: print}), [record])
            text = html.page([one])
            _Read(text)
            assert 'class="mark read"' in text and f"{result}" in text
            record.violation = Violation("ended its process by SIGSEGV", of)
            assert "There is no result to draw" in html.page([one])


def _case(operation, dtype):
    def ones(*shape):
        return np.ones(shape, numpy_dtype(dtype))

    d, kind = operation.rank, operation.kind
    if d == 0:
        return Case(operation, {"in1": ones(3, 4), "in2": ones(2, 2)}, {"mode": "same"}, dtype)
    x = ones(2, 2, *(4,) * d)
    if "pool" in kind:
        grad = {"grad_output": ones(2, 2, *(2,) * d)} if "backward" in kind else {}
        return Case(operation, {**grad, "input": x}, {"kernel_size": 2}, dtype)
    w = ones(2, 2, *(3,) * d)
    if kind == "conv_backward":
        return Case(operation, {"grad_output": ones(2, 2, *(2,) * d), "input": x, "weight": w}, {}, dtype)
    return Case(operation, {"input": x, "weight": w, "bias": ones(2)}, {}, dtype)


def test_what_another_law_compares_is_drawn():
    """Two results that must agree, a result of the wrong shape, an empty one."""
    of, both = pages.case(), np.ones(2, bool)
    for compared, parts in (
        ({"got": np.zeros(2), "expected": both, "wrong": both}, ["got minus expected"]),
        ({"got": np.zeros((2, 0, 3))}, ["It has no elements."]),
        ({"got": np.float32(4)}, ["got", "float32 []"]),
        ({"got": both * 1j, "expected": both * 2j, "wrong": both}, ["expected, imaginary part"]),
    ):
        found = Violation("differs", of, result="output", index=(0,), got="1", exact="2", compared=compared)
        one = Verdict(Subject("s", {"conv2d": print}), [pages.record("law", "conv2d", "violated", violation=found)])
        words = _Read(html.page([one])).words
        for part in parts:
            assert part in words, part


def test_calls_that_must_come_before_stand_before():
    """In front of the call that is wrong after them, in their order; nothing where it is wrong alone."""
    of, earlier = pages.case(padding=1), (pages.case(stride=2), pages.case(stride=3))
    found = Violation("differs", of)
    one = Verdict(Subject("s", {"conv2d": print}), [pages.record("law", "conv2d", "violated", violation=found)])
    assert "Only after" not in _Read(html.page([one])).words
    found.before = earlier
    words = _Read(html.page([one])).words
    places = [words.index(text) for text in (f"Only after {earlier[0]!r}", f"Only after {earlier[1]!r}", f" {of!r}")]
    assert places == sorted(places)


def test_what_was_not_verified_says_why(texts):
    """No laws, too few calls, not judged to the end."""
    words = _Read(texts["all"]).words
    assert "5 subjects" in words and "? not verified none" in words
    assert "Not every law was judged to its end" in words and "No law was judged." in words


# ------------------------------------------------------------------------------------------- pictures


def test_pairs_of_features_by_hand():
    """Two features and a third: which pairs met, in how many of their threes."""
    features = {"a": ("x", "y"), "b": ("x",), "c": ("x", "y")}
    feasible = {frozenset({("a", p), ("b", "x"), ("c", q)}) for p in "xy" for q in "xy"}
    met = {frozenset({("a", "x"), ("b", "x"), ("c", "x")})}
    drawn = picture.matrix(features, met, feasible)
    assert drawn.firsts == [0, 2, 3] and drawn.items[2] == ("b", "x")
    squares = {level: set(re.findall(r"M[\d.]+ [\d.]+h[\d.]+", path)) for level, path in drawn.paths.items()}
    # met: (a x, c x) always; (a x, b x) and (b x, c x) in one of two, as a x and c x alone; b x in one of four
    assert squares[4] == {"M0 3h1"} and squares[3] == set()
    assert squares[2] == {"M0 0h1", "M0 2h1", "M2 3h2"} and squares[1] == {"M2 2h1"}
    assert (("a", "x"), ("c", "y")) in drawn.missed and (("a", "x"), ("c", "x")) not in drawn.missed
    assert len(squares[0]) == len(drawn.missed) + 2  # a y and c y with themselves


def test_tones_and_marks_of_an_array():
    """By size and sign, in steps of a fifth of the scale; a mark lies where its mask is true."""
    array = np.array([[0.0, 1.0, 2.0, 10.0], [-10.0, -9.0, 4.1, np.nan]])
    (drawn,) = picture.heat_maps("x", array, 10.0, {"wrong": array == 2}, (1, 3))
    assert [c.tone for c in drawn.cells] == ["z", "p1", "p1", "p5", "n5", "n5", "p3", "nan"]
    assert [c.marks for c in drawn.cells if c.marks] == [("wrong",), ("at",)]
    assert drawn.whole and drawn.part == ""
    assert [c.full for c in drawn.cells] == [""] * 7 + ["nan"]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read(mode):
    """Contrast of at least 4.5 for every pair of colours that carries text, 3 for marks (WCAG 2.1)."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.S)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[0]))
    colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[1])) if mode == "dark" else {}
    pairs = [
        (text, back) for text in ("text", "muted", "good", "bad", "warn", "accent") for back in ("card", "back", "code")
    ]
    pairs += [("strong", tone) for tone in ("n5", "n4", "p5", "p4", "nan", "inf")]
    pairs += [("weak", tone) for tone in ("n3", "n2", "n1", "p3", "p2", "p1")] + [("muted", "z")]
    found = {pair: _contrast(*(colours[name] for name in pair)) for pair in pairs}
    assert not {pair: ratio for pair, ratio in found.items() if ratio < 4.5}
    assert all(_contrast(colours[mark], colours["card"]) >= 3 for mark in ("bad", "read", "never", "accent"))
    solid = re.findall(r"background: (#\w{6});", STYLE)
    assert len(solid) == 3 and all(_contrast("#ffffff", colour) >= 4.5 for colour in solid)


def _contrast(a, b):
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ------------------------------------------------------------------------------------ from the command line


def test_the_page_is_written_with_the_verdict(tmp_path, monkeypatch, capfd):
    """Whole or not at all, beside --json, with the folder of each violation and the script in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(options.PROFILES, "quick", 1)
    (tmp_path / "zero.py").write_text(
        "import refconv\ndef convolve(in1, in2, mode='full'):\n"
        "    print('<b>here</b>')\n    return 0 * refconv.convolve(in1, in2, mode)\n"
    )
    assert cli.main(["check", "zero.py", "--html", "page.html", "--json", "all.json"]) == 1
    text = (tmp_path / "page.html").read_text()
    words = _Read(text).words
    script = next((tmp_path / "refconv-failures").glob(f"*{CENTRAL}/reproduce.py")).read_text()
    assert " ".join(script.split()) in words
    assert "refconv replay refconv-failures/zero.py-convolve-" in words
    assert "What the subject printed last <b>here</b>" in words
    assert {p.name for p in tmp_path.iterdir()} <= {
        "zero.py",
        "page.html",
        "all.json",
        "refconv-failures",
        "__pycache__",
    }
    capfd.readouterr()
