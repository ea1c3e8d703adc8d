"""docs/delivery.md names, for each promise, the tests and faults that show it: they all exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from faults import campaign
from faults.faults_table import CLUSTER_FAULTS, FAULTS
from faults.world import CAST

ROOT = Path(__file__).parents[2]
TRANSCRIPTS = ROOT / "libs" / "client" / "conformance"
AUDITED = {"risk", *(role.user for role in CAST)}


def rows() -> list[list[str]]:
    """The table's cells."""
    text = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    table = text.split("| promise | by | shown by |")[1].split("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def shown_by() -> list[str]:
    """What the table's third column lists: `module`: *words of a test*, fault *x*, column *x*."""
    return [part.strip() for row in rows() for part in row[2].split(";")]


@cache
def modules() -> dict[str, Path]:
    return {
        path.stem: path
        for place in ("libs", "services", "tests-integration")
        for path in (ROOT / place).rglob("test_*.py")
        if "node_modules" not in path.parts
    }


def names_in(module: str) -> list[str]:
    """The words of each test and class of tests in a module."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name.replace("_", " ") for node in ast.walk(tree) if isinstance(node, kinds)]


def test_every_promise_says_by_what_means_what_shows_it_and_what_can_still_go_wrong():
    assert len(rows()) > 20
    assert [row for row in rows() if len(row) != 4 or not all(row)] == []


def typescript_names_in(file: str) -> list[str]:
    """The words of each test in a file of the TypeScript SDK."""
    text = (ROOT / "libs" / "client-web" / "test" / file).read_text(encoding="utf-8")
    return [name.replace("_", " ") for name in re.findall(r'\bit\("(\w+)"', text)]


@pytest.mark.parametrize("part", shown_by())
def test_what_shows_a_promise_exists(part):
    named = re.findall(r"`(test_\w+)`", part)
    said = [words.strip("… ").replace(",", "") for words in re.findall(r"\*([^*]+)\*", part)]
    assert not [module for module in named if module not in modules()]
    transcripts = re.findall(r"`([a-z]+(?:-[a-z]+)+)`", part)
    assert not [name for name in transcripts if not (TRANSCRIPTS / f"{name}.json").exists()]
    audited = re.findall(r"auditor's.* `(\w+)`", part)
    assert not [name for name in audited if name not in AUDITED]
    assert said or transcripts or audited, "nothing that can be looked up"
    files = re.findall(r"`([a-z-]+\.test\.tsx?)`", part)
    if named or files:
        there = [name for module in named for name in names_in(module)]
        there += [name for file in files for name in typescript_names_in(file)]
    elif "column" in part:
        there = [campaign.HEAD]
    else:
        there = [fault.name for fault in (*FAULTS, *CLUSTER_FAULTS)]
    assert not [words for words in said if not any(words in name for name in there)]
