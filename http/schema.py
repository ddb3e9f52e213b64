"""JSON Schema as the API's description uses it. Source: JSON Schema 2020-12, OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
URL: Schema = {"type": "string", "format": "uri"}


class Named(dict[str, Any]):
    """A schema that the description says once, under its name, and refers to elsewhere."""

    def __init__(self, name: str, schema: Schema) -> None:
        super().__init__(schema)
        self.name = name


def nullable(schema: Schema) -> Schema:
    """What *schema* takes, or null."""
    if isinstance(schema, Named) or not isinstance(schema.get("type"), str):
        return {"anyOf": [schema, {"type": "null"}]}
    wider = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        wider["enum"] = [*schema["enum"], None]
    return wider


def object_of(
    members: Mapping[str, Schema], *, without: Iterable[str] = (), further: Schema | bool | None = None
) -> Schema:
    """An object of these members, all there but those of *without*; *further*: what others may be, False: none."""
    absent = set(without)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in absent],
    }
    if not schema["required"]:
        del schema["required"]
    return schema if further is None else {**schema, "additionalProperties": further}


def array_of(schema: Schema, *, least: int = 0, most: int | None = None) -> Schema:
    """A list of such."""
    bounds = {"minItems": least or None, "maxItems": most}
    return {"type": "array", "items": schema, **{name: it for name, it in bounds.items() if it is not None}}
