"""Where our client differs from the JavaScript SDK 0.20 on purpose.

The README has the same table, and tests compare: a difference that is not here fails,
and so does one that is here and no longer occurs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """One difference.

    Attributes:
        theirs: What the SDK does.
        ours: What we do, and why.
        lost: Patterns of lines that only the SDK's trace has.
        won: Patterns of lines that only our trace has.
    """

    theirs: str
    ours: str
    lost: tuple[str, ...] = ()
    won: tuple[str, ...] = ()


_STATE = r"\* item_update .*"
_DEFAULTS = r">   (audio\.|model|output_modalities|type|tracing).*"

DECISIONS: dict[str, Decision] = {
    "queued": Decision(
        "Cuts the item that came last.",
        "Cuts each item where it was heard: the first of two that wait is the one that "
        "is being heard.",
        lost=(r"> conversation.item.truncate .*as long as it played.* \"i2\"}",),
        won=(
            r"> conversation.item.truncate .*as long as it played.* \"i1\"}",
            r"> conversation.item.truncate {\"audio_end_ms\": 0, .* \"i2\"}",
        ),
    ),
    "silent": Decision(
        "Interrupts nothing as long as there was no audio.",
        "Cancels the response all the same: who says stop means it.",
        won=(r"> response.cancel {}",),
    ),
    "late": Decision(
        "Emits audio that comes after an interruption.",
        "Drops it until the interrupted response is done: it would be played.",
        lost=(r"\* audio .*",),
    ),
    "states": Decision(
        "Emits `item_update` at events about an item, changed or not.",
        "Emits it when an item has changed: also at each word, at a call that is still "
        "being written, and at an approval request that has begun.",
        lost=(rf"{_STATE} \(again\)",),
        won=(
            rf"{_STATE}\"status\": \"in_progress\".*",
            rf"{_STATE}\"Hello\".*",
        ),
    ),
    "retrieve": Decision(
        "Asks for an item (`conversation.item.retrieve`) after its transcription or "
        "truncation, and as an MCP server is asked.",
        "Asks for nothing: the history has it from the events themselves.",
        lost=(r"> conversation.item.retrieve .*",),
    ),
    "output": Decision(
        "Has a call's output in `item_update` when it is sent.",
        "Has it when the server has it, like everything in the history.",
        lost=(rf"{_STATE}\"output\": \"A cat\".*",),
        won=(rf"{_STATE}\"output\": \"A cat\".*",),
    ),
    "approval": Decision(
        "Parses the arguments of an approval request that is an item.",
        "Leaves items as on the wire; the event `mcp_approval_request` parses them.",
        lost=(r"\* (item_update|history) .*mcp_approval_request.*",),
        won=(r"\* (item_update|history) .*mcp_approval_request.*",),
    ),
    "pictures": Decision(
        "Loses items with pictures.",
        "Has them in the history and in the events.",
        won=(r"\* conversation.item.(added|done)", rf"{_STATE}image_url.*"),
    ),
    "undescribed": Decision(
        "Loses the tools of an MCP server of which one has no description.",
        "Tells them as they are.",
        won=(r"\* conversation.item.done", r"\* mcp_tools_listed .*"),
    ),
    "system": Decision(
        "Leaves out the status of what the system says.",
        "Has it, as of any item.",
        lost=(rf"{_STATE}\"system\".*",),
        won=(rf"{_STATE}\"system\".*",),
    ),
    "aside": Decision(
        "Emits `item_update` for what a response beside the conversation says.",
        "Does not: it is no part of the history.",
        lost=(_STATE,),
    ),
    "unknown": Decision(
        "Tells unknown events only as `*`.",
        "Tells them under their own names, too.",
        won=(r"\* something.new",),
    ),
    "no_id": Decision(
        "Takes an event without `event_id` for unknown.",
        "Does not need the id.",
        won=(r"\* response.created", r"\* turn_started .*"),
    ),
    "malformed": Decision(
        "Throws at some malformed items, and hears nothing from then on.",
        "Never raises at what comes: takes what it can, and emits `error` if need be.",
        lost=(r"\* thrown",),
        won=(_STATE, r"\* connection_change .*", r"\* disconnected"),
    ),
    "not_let_in": Decision(
        "Emits `error` and `disconnected`, too, if it cannot connect.",
        "Raises in `connect`, with the reason; there was no connection to lose.",
        lost=(r"\* error", r"\* disconnected"),
    ),
    "lost": Decision(
        "Ends alike, however a connection ends.",
        "Emits `error` if it broke, with the reason.",
        won=(r"\* error .*1011.*",),
    ),
    "in_flight": Decision(
        "Repeats a change of the history that the server has not confirmed yet.",
        "Sends what is new only.",
        lost=(r"> conversation.item.(delete|create) .*",),
        won=(r"> conversation.item.create .*\"create_5\".*\"z\".*",),
    ),
    "speech_as_text": Decision(
        "Refuses to create an assistant's speech in a history.",
        "Creates its transcript as text, and warns.",
        lost=(r"\* raised .*",),
        won=(r"> conversation.item.create .*output_text.*",),
    ),
    "mixed": Decision(
        "Drops `audio` and `outputModalities` beside a name of the beta API.",
        "Takes both.",
        lost=(r">   output_modalities = \[\"audio\"\]",),
        won=(
            r">   output_modalities = \[\"text\"\]",
            r">   audio.output.voice = \"ash\"",
        ),
    ),
    "both": Decision(
        'Sends the beta API\'s `["text", "audio"]` as it is.',
        'Sends `["audio"]`, which is the same: the API takes only one of them.',
        lost=(r">   output_modalities = \[\"text\", \"audio\"\]",),
        won=(r">   output_modalities = \[\"audio\"\]",),
    ),
    "spelling": Decision(
        "Drops names that are spelled as on the wire (`output_modalities`).",
        "Takes both spellings.",
        lost=(r">   output_modalities = \[\"audio\"\]",),
        won=(r">   output_modalities = \[\"text\"\]", r">   tool_choice = \"none\""),
    ),
    "format": Decision(
        "Makes an unknown audio format 24 kHz PCM.",
        "Sends it as it is: the server says what is wrong with it.",
        lost=(r">   audio.input.format = .*pcm.*",),
        won=(r">   audio.input.format = \"opus\"",),
    ),
    "typeless": Decision(
        "Sends turn detection without a type as it is, which the API refuses.",
        "Adds the type that the settings belong to, and warns.",
        lost=(r">   audio.input.turn_detection = .*",),
        won=(r">   audio.input.turn_detection = .*\"semantic_vad\"}",),
    ),
    "model": Decision(
        "Takes the model from `connect` or the constructor only.",
        "Takes it from the configuration, too.",
        lost=(r">   model = .*",),
        won=(r">   model = \"gpt-realtime\"",),
    ),
    "kept": Decision(
        "Falls back to the defaults where an update says nothing.",
        "Keeps what was asked for before.",
        lost=(r">   output_modalities = \[\"audio\"\]",),
        won=(r">   output_modalities = \[\"text\"\]",),
    ),
    "traced": Decision(
        "Logs that the session is traced otherwise than was asked for.",
        "Emits `error`.",
        won=(r"\* error .*traced already.*",),
    ),
    "arguments": Decision(
        "Answers a call whose arguments are no JSON with nothing but `error`.",
        "Answers the call, too: the model waits for its output.",
        lost=(r"\* error \"Unexpected end of JSON input\"",),
        won=(
            r"> conversation.item.create .*An error occurred.*",
            r"\* agent_tool_(start|end) .*",
        ),
    ),
    "handoff": Decision(
        "Hands over while the response that asks for it is being made.",
        "Waits for its end: what else it calls is still the old agent's.",
        lost=(r"\* agent_(end|handoff) .*", r"> conversation.item.create .*A cat.*"),
        won=(r"\* agent_(end|handoff) .*", r"> conversation.item.create .*A cat.*"),
    ),
    "replayed": Decision(
        "Sends the output of a call that comes a second time a second time.",
        "Sends it once: the conversation has it.",
        lost=(r"> conversation.item.create .*A cat.*",),
    ),
    "feedback": Decision(
        "Has words of its own for a model whose answer was blocked.",
        "Has other words, which ask for the same.",
        lost=(r"> conversation.item.create .*blocked.*",),
        won=(r"> conversation.item.create .*withheld.*",),
    ),
    "sideband": Decision(
        "Gives a call that it joins (`callId`) all its defaults.",
        "Asks for what it is given, and for nothing else: the call has its settings.",
        lost=(r"> session.update {}", _DEFAULTS),
    ),
}
