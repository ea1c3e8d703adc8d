"""Every service's README has the sections that all have, and its settings as they are."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from tapewire.auth import AuthSettings
from tapewire.service import ServiceSettings
from tapewire.service.settings import Settings

ROOT = Path(__file__).parents[4]
SERVICES = ("dashboard", "desk", "edge", "ingest", "market", "risk")
SECTIONS = ("Owns", "Consumes", "Produces", "State", "Settings", "Failure modes")
CODE = ("*.py", "*.ts", "*.tsx", "*.mjs", "*.yml", "*.cfg", "Dockerfile", "Makefile", "setup")
# Their default is no value.
BY_A_RULE = {
    "TAPEWIRE_EDGE_NODE",
    "TAPEWIRE_DASHBOARD_DIST",
    "DATABASE_URL",
}  # their default is no value


def settings_of(service: str) -> type[ServiceSettings]:
    found = vars(import_module(f"tapewire.{service}.settings")).values()
    kinds = (one for one in found if isinstance(one, type) and issubclass(one, ServiceSettings))
    return next(kind for kind in kinds if kind is not ServiceSettings)


def variable(name: str, field: FieldInfo) -> str:
    return str(field.validation_alias or f"TAPEWIRE_{name.upper()}")


def variables(*kinds: type[Settings]) -> dict[str, FieldInfo]:
    return {variable(n, f): f for kind in kinds for n, f in kind.model_fields.items()}


EVERYWHERE = variables(ServiceSettings, AuthSettings)


def own(service: str) -> dict[str, FieldInfo]:
    """What the service adds to those of every service."""
    mine = variables(settings_of(service))
    return {name: field for name, field in mine.items() if name not in EVERYWHERE}


def readme(service: str) -> str:
    return (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")


def rows(text: str) -> Iterator[tuple[str, str]]:
    """(variable, default) of every table that lists settings; one row may have several of both."""
    listing = False
    for line in text.splitlines():
        listing = line.startswith("| variable |") or (listing and line.startswith("|"))
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`([A-Z_]+)`", cells[0])
        if listing and names:
            defaults = cells[1].split(",") if len(names) > 1 else [cells[1]]
            defaults *= len(names) if len(defaults) == 1 else 1
            yield from zip(names, (one.strip() for one in defaults), strict=True)


def shown(value: Any) -> set[str]:
    """How a default may be written."""
    if value is None:
        return {"none"}
    if isinstance(value, bool):
        return {str(value).lower(), str(int(value))}
    if isinstance(value, tuple):
        return {", ".join(value), ",".join(value)}
    return {f"{value:g}"} if isinstance(value, float) else {str(value)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_readme_says_what_every_service_says(service):
    text = readme(service)
    assert [one for one in SECTIONS if f"## {one}" not in text and f"**{one}**" not in text] == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_of_its_own_stands_in_the_table_and_no_other(service):
    table = dict(rows(readme(service)))
    assert set(own(service)) - set(table) == set()
    assert set(table) - set(own(service)) - set(EVERYWHERE) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_defaults_are_those_of_the_code(service):
    mine = variables(settings_of(service))
    wrong = {
        name: default
        for name, default in rows(readme(service))
        if name in mine
        and name not in BY_A_RULE
        and not mine[name].is_required()
        and mine[name].default not in ("", ())
        and default.strip("`") not in shown(mine[name].default)
    }
    assert wrong == {}


def test_operations_has_the_settings_of_every_service():
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in EVERYWHERE if f"`{name}`" not in text] == []


def test_every_variable_that_a_document_names_is_known_to_some_code():
    known = set(EVERYWHERE).union(*(variables(settings_of(service)) for service in SERVICES))
    places = [ROOT / p for p in ("libs", "services", "bench", "examples", "infra")]
    places += [ROOT / "tests-integration"]
    files = [file for place in places for pattern in CODE for file in place.rglob(pattern)]
    files += [*ROOT.glob("*.yml"), *ROOT.glob("*.py"), ROOT / "Makefile"]
    for file in files:
        if "node_modules" not in file.parts:
            known |= set(re.findall(r"TAPEWIRE_[A-Z_]+", file.read_text(encoding="utf-8")))
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"]
    documents += [p for d in ("libs", "services") for p in (ROOT / d).glob("*/README.md")]
    unknown = {
        (document.name, name)
        for document in documents
        for name in re.findall(r"`(TAPEWIRE_[A-Z_]+[A-Z])[`=]", document.read_text("utf-8"))
        if name not in known and name.removesuffix("_FILE") not in known
    }
    assert unknown == set()
