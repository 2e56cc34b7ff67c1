"""What the OpenAPI 3.1 documents of the dialers are made of, and the whole of them at /_sandbox/openapi.json.

Each dialer's document stands beside it in a module of its own, as data: `PATHS` and `SCHEMAS`. It says what
the sandbox does, which is the strict reading of the dialer's own pages.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FILLED: Final[Schema] = {"type": "string", "minLength": 1}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 1}
ID: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
STRINGS: Final[Schema] = {"type": "object", "additionalProperties": TEXT}
E164: Final[Schema] = {"type": "string", "pattern": r"^\+[1-9][0-9]{4,14}$"}
EMAIL: Final[Schema] = {"type": "string", "pattern": r"^[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+$"}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def given(properties: Mapping[str, Schema], *required: str) -> Schema:
    """An object that a client sends: no other fields, and those required."""
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def told(**properties: Schema) -> Schema:
    """An object that comes back: exactly these fields."""
    return given(properties, *properties)


def array(items: Schema, **limits: int) -> Schema:
    """An array, with `minItems` and `maxItems` if need be."""
    return {"type": "array", "items": items, **limits}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def query(name: str, schema: Schema) -> dict[str, Any]:
    """A query parameter that may be left out."""
    return {"name": name, "in": "query", "schema": schema}


def path(name: str, schema: Schema) -> dict[str, Any]:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}


def content(schema: Schema, media_type: str = "application/json") -> dict[str, Any]:
    """A body of one media type."""
    return {"content": {media_type: {"schema": schema}}}


class Document:
    """Makes the operations of one dialer's document.

    `refusal` is the schema of its errors, `refused` the statuses that every operation may refuse with, and
    `headers` are those that come with every answer to a known key.
    """

    def __init__(
        self,
        tag: str,
        refusal: Schema,
        refused: Iterable[int],
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        self._tag = tag
        self._refusal = refusal
        self._refused = tuple(refused)
        self._headers = dict(headers or {})

    def operation(
        self,
        name: str,
        summary: str,
        *,
        answer: Schema,
        status: int = 200,
        body: Schema | None = None,
        form: Schema | None = None,
        refused: Iterable[int] = (),
        parameters: Iterable[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """One operation: what it is sent and what comes back."""
        answers = {str(status): self._answer("Done", answer)}
        for code in sorted({*self._refused, *refused}):
            answers[str(code)] = self._answer("Refused", self._refusal, known_key=code != 401)
        made: dict[str, Any] = {
            "operationId": f"{self._tag}_{name}",
            "tags": [self._tag],
            "summary": summary,
            "parameters": list(parameters),
            "responses": answers,
        }
        if body is not None:
            made["requestBody"] = {"required": True, **content(body)}
        if form is not None:
            made["requestBody"] = {"required": True, **content(form, "multipart/form-data")}
        return made

    def _answer(self, words: str, schema: Schema, *, known_key: bool = True) -> dict[str, Any]:
        headers = {"headers": self._headers} if self._headers and known_key else {}
        return {"description": words, **headers, **content(schema)}


def document(parts: Iterable[ModuleType]) -> dict[str, Any]:
    """The OpenAPI document of all dialers."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for part in parts:
        paths |= part.PATHS
        schemas |= part.SCHEMAS
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leadlane's sandbox",
            "version": version("leadlane"),
            "description": "The dialers' APIs as the sandbox plays them: strictly, where they are silent.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
