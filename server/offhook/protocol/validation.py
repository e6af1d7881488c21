"""Pydantic's findings, said in the Realtime API's words."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from offhook.errors import InvalidRequest

_MISSING = "missing_required_parameter"
_WANTED = {
    "string": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "list": "an array",
    "dict": "an object",
    "model": "an object",
    "model_attributes": "an object",
}
_CODES = {
    "missing": _MISSING,
    "extra_forbidden": "unknown_parameter",
    "union_tag_not_found": _MISSING,
}


class Strict(BaseModel):
    """A part of a client event: unknown fields and lax types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


def check(adapter: TypeAdapter[Any], value: Any, at: str = "") -> Any:
    """Validate `value`, or raise the error that the real service would send.

    Args:
        adapter: What `value` has to be.
        value: Parsed JSON.
        at: Where `value` stands in the event, for `param`.

    Returns:
        The model.

    Raises:
        InvalidRequest: `code` and `param` as in OpenAI's own errors.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        # The deepest finding is the one in the branch that the caller meant.
        findings = error.errors(include_url=False, include_context=True)
        raise _translate(
            max(findings, key=lambda f: len(f["loc"])), value, at
        ) from None


def _translate(finding: Any, value: Any, at: str) -> InvalidRequest:
    kind: str = finding["type"]
    path = _path(finding, value, at)
    code = _CODES.get(kind)
    if code == _MISSING:
        message = f"Missing required parameter: '{path}'."
    elif code == "unknown_parameter":
        message = f"Unknown parameter: '{path}'."
    elif kind.endswith("_type"):
        code = "invalid_type"
        wanted = _WANTED.get(kind.removesuffix("_type"), "another type")
        got = _json_type(finding["input"])
        message = f"Invalid type for '{path}': expected {wanted}, got {got} instead."
    else:
        code = "invalid_value"
        message = f"Invalid value for '{path}': {finding['msg']}."
    return InvalidRequest(message, code=code, param=path or None)


def _path(finding: Any, value: Any, at: str) -> str:
    """Spell a location as OpenAI does, without the union tags that pydantic adds."""
    path = at
    absent = finding["loc"][-1] if finding["type"] == "missing" else None
    for step in finding["loc"]:
        if isinstance(value, list) and isinstance(step, int) and step < len(value):
            path, value = f"{path}[{step}]", value[step]
        elif isinstance(value, dict) and step in value:
            path, value = f"{path}.{step}", value[step]
    if absent is not None:
        path = f"{path}.{absent}"
    elif finding["type"].startswith("union_tag"):
        path = f"{path}.{finding['ctx']['discriminator'].strip(chr(39))}"
    return path.lstrip(".")


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string"}
    return names.get(
        type(value), "an array" if isinstance(value, list) else "an object"
    )
