"""Every file in docs/schema is a JSON Schema, and says of each field what it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "schema"
SCHEMAS = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")}


def test_there_are_schemas() -> None:
    assert len(SCHEMAS) >= 18


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_it_is_one(schema: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


def described(schema: Any) -> Iterator[tuple[str, str]]:
    """Each field's name and description, its own or that of the kind of thing it is."""
    for part in (schema, *schema["$defs"].values()):
        for name, facts in part.get("properties", {}).items():
            told = facts if "description" in facts else schema["$defs"][facts["$ref"][8:]]
            yield name, told["description"]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_field_is_described(schema: Any) -> None:
    for part in (schema, *schema["$defs"].values()):
        assert part["description"].endswith(".")
    for name, description in described(schema):
        assert len(description.split()) > 2, name
