"""The published schema describes every field of what is written, and nothing that is written is beside it."""

import copy
import json

import jsonschema
import pytest

from refconv import cli, options, verdict
from refconv.arrays import ARRAYS
from refconv.claims import CLAIMS, Claims
from refconv.subject import _ARRANGE

# Right, not a number, declined, one that ends its process (known to, so that nobody shrinks it), and complex.
SUBJECT = """
import numpy as np, os, refconv
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    return refconv.avg_pool1d(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = np.array(refconv.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode))
    out[...] = np.nan if input.size % 2 else np.inf
    return out
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    raise NotImplementedError("not yet")
def correlate(in1, in2, mode="full"):
    os._exit(3)
"""
COMPLEX = """
import numpy as np, refconv
def convolve(in1, in2, mode="full"):
    return np.conj(refconv.convolve(in1, in2, mode))
"""
XFAILS = "[[xfail]]\noperation = 'correlate'\nreason = 'ends'\n"


@pytest.fixture(scope="module")
def schema():
    return json.loads(cli.schema_file().read_text())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What is written of all these, in two runs."""
    folder, found = tmp_path_factory.mktemp("written"), []
    (folder / "mine.py").write_text(SUBJECT)
    (folder / "complex.py").write_text(COMPLEX)
    (folder / "known.toml").write_text(XFAILS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(options.PROFILES, "quick", 1)
        for more in (["mine.py", "--xfails=known.toml"], ["complex.py", "--dtype=complex64", "--in-process"]):
            assert cli.main(["check", *more, "--json=v.json"]) == 1
            found.append(json.loads((folder / "v.json").read_text()))
    return found


def test_what_is_written_is_what_is_published(schema, written):
    """Verdicts of every kind: numbers that JSON has not, crashes, calls that are declined, complex numbers."""
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for one in written:
        check.validate(one)
    laws = [law for one in written for v in one["verdicts"] for law in v["laws"]]
    assert {law["status"] for law in laws} == {"verified", "violated", "absent", "unverified", "not applicable"}
    violations = [law["violation"] for law in laws if law["violation"]]
    assert {"nan", "inf"} <= {str(v["got"]) for v in violations}
    assert any("exit code 3" in v["reason"] for v in violations) and any(law["expected"] for law in laws)
    assert any("j" in str(v["case"]["operands"]["in1"]["values"]) for v in violations if v["case"]["dtype"][0] == "c")
    assert any(law["diagnosis"] for law in laws) and any(law["folder"] for law in laws)


def _objects(found, path=()):
    """Every object in what is written, by its path."""
    if isinstance(found, dict):
        yield path, found
    for key, value in found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ():
        yield from _objects(value, (*path, key))


OPEN = {
    "fix",
    "coverage",
    "reasons",
    "dtypes",
    "errors",
    "arguments",
    "features",
    "operands",
}  # named by what was judged


def test_a_field_that_is_not_described_is_refused(schema, written):
    """And so is one that is missing, wherever it is."""
    check, refused = jsonschema.Draft202012Validator(schema), 0
    kinds = {}
    for path, found in _objects(written[0]):
        kinds.setdefault((*(p for p in path if isinstance(p, str)), *sorted(found)), path)
    for path in kinds.values():
        if path and (path[-1] in OPEN or (path[-1] == "claims" and "precision" in path)):
            continue
        broken = copy.deepcopy(written[0])
        there = broken
        for key in path:
            there = there[key]
        there["surprise"] = 1
        assert not check.is_valid(broken), path
        del there["surprise"]
        if path != ("environment",):
            there.pop(next(iter(there)))
            assert not check.is_valid(broken), path
        refused += 1
    assert refused > 10


def _fields(schema):
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for value in schema.values():
            yield from _fields(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _fields(value)


def test_every_field_is_described(schema):
    """In a sentence, beside it or where it refers to."""
    for name, about in _fields(schema):
        said = about.get("description") or schema["$defs"][about["$ref"].rpartition("/")[2]]["description"]
        assert said.endswith(".") and len(said) > 10, name


def test_facts_are_those_of_the_code(schema):
    """Version, claims, arrays, layouts, verdicts."""
    parts = schema["$defs"]
    assert schema["properties"]["schema"]["const"] == verdict.SCHEMA and schema["$id"].endswith(f":{verdict.SCHEMA}")
    claims = parts["claims"]["properties"]
    assert list(claims) == list(Claims.__dataclass_fields__)
    for name, choices in CLAIMS.items():
        if name != "algorithm":
            assert set(claims[name]["enum"]) - {""} == set(choices)
    assert parts["verdict"]["properties"]["array"]["enum"] == list(ARRAYS)
    assert parts["case"]["properties"]["layout"]["enum"] == list(_ARRANGE)
    assert set(parts["verdict"]["properties"]["verdict"]["enum"]) == set(verdict.EXIT_CODES)


def test_the_schema_is_printed(schema, capsys):
    """By a command of its own."""
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema
