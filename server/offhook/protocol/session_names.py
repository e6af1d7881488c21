"""What is named in a session, apart from the models that judge its values.

Clients need no more than the names, and so do without pydantic: in Pyodide that is a
package to be loaded.
"""

from __future__ import annotations

DEFAULT_MODEL = "gpt-realtime-2.1"

# The names known at one level, each with those below it.
Names = dict[str, "Names"]


def _names(plain: str, **groups: Names) -> Names:
    return {name: {} for name in plain.split()} | groups


_FORMAT = _names("type rate")
_FILTER = _names("tool_names read_only")

# The `session` of a `session.update`, whatever its types of tools and turn detection.
SETTINGS = _names(
    "type object id expires_at include model output_modalities instructions"
    " parallel_tool_calls max_output_tokens",
    audio=_names(
        "",
        input=_names(
            "",
            format=_FORMAT,
            transcription=_names("model language languages keywords prompt delay"),
            noise_reduction=_names("type strength"),
            # The JavaScript SDK knows model_version; the local endpoint does not.
            turn_detection=_names(
                "type threshold prefix_padding_ms silence_duration_ms idle_timeout_ms"
                " create_response interrupt_response eagerness model_version"
            ),
        ),
        output=_names("speed", format=_FORMAT, voice=_names("id")),
    ),
    tools=_names(
        "type name description parameters server_label server_url connector_id"
        " tunnel_id server_description defer_loading allowed_callers authorization"
        " headers",
        allowed_tools=_FILTER,
        require_approval=_names("", always=_FILTER, never=_FILTER),
    ),
    tool_choice=_names("type name server_label"),
    reasoning=_names("effort"),
    tracing=_names("workflow_name group_id metadata"),
    truncation=_names("type retention_ratio", token_limits=_names("post_instructions")),
    prompt=_names("id version variables"),
)
