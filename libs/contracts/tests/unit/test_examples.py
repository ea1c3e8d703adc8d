"""The committed examples and schemas are what the models say."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tapewire.contracts import EVENT_TYPES, encode, parse_event
from tapewire.contracts.schema import drift, schemas

LIBRARY = Path(__file__).parents[2]
EXAMPLES = LIBRARY / "examples"


def test_every_type_has_an_example_and_every_example_a_type() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_example_survives_decoding_and_encoding(name: str) -> None:
    example = json.loads((EXAMPLES / f"{name}.json").read_text())
    event = parse_event(example)
    assert type(event) is EVENT_TYPES[name]
    assert json.loads(encode(event)) == example


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_example_fits_the_schema(name: str) -> None:
    example = json.loads((EXAMPLES / f"{name}.json").read_text())
    Draft202012Validator(schemas()["events.schema.json"]).validate(example)


def test_schema_files_are_up_to_date() -> None:
    assert drift(LIBRARY / "schema") == []


def test_drift_names_a_file_that_differs(tmp_path: Path) -> None:
    (tmp_path / "events.schema.json").write_text("{}")
    assert "events.schema.json" in drift(tmp_path)
