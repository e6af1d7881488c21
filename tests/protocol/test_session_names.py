from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from offhook.protocol.session_config import SessionPatch
from offhook.protocol.session_names import SETTINGS

if TYPE_CHECKING:
    from offhook.protocol.session_names import Names


def names_in(annotation: Any) -> Names:
    """Collect the fields of every model in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return {name: names_in(field.annotation) for name, field in fields}
    found: Names = {}
    for part in get_args(annotation):
        found |= names_in(part)
    return found


def test_they_are_those_of_the_models() -> None:
    known = copy.deepcopy(SETTINGS)
    assert known["audio"]["input"]["turn_detection"].pop("model_version") == {}
    assert known == names_in(SessionPatch)
