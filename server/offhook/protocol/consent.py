"""Whether a call may be recorded: what its agent's policy says, and its caller.

The policies, as agents have them:

    never      nothing is recorded
    consent    what the caller agrees to; others call without
    required   likewise, and who does not agree has no call
    always     the operator has other grounds: the caller is told, and not asked

Sans-IO. A caller says yes when asking for a key, or by an event in the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from offhook.errors import Forbidden, InvalidRequest
from offhook.events import new_id, parse

if TYPE_CHECKING:
    from offhook.events import Event

Record = Literal["never", "consent", "required", "always"]
RECORD: tuple[str, ...] = get_args(Record)

GIVE = "offhook.recording.consent"
WITHDRAW = "offhook.recording.withdraw"
# What events of ours begin with; an upstream knows none.
_OURS = "offhook."


def require(record: Record, given: bool) -> None:
    """Let nobody call who has to agree and does not.

    Raises:
        Forbidden: `consent_required`.
    """
    if record == "required" and not given:
        raise Forbidden(
            "Calls to this agent are recorded, and only with the caller's consent: "
            'ask for it, and send "consent": {"recording": true} with this request.',
            code="consent_required",
            param="consent.recording",
        )


class Consent:
    """What may be recorded of one call.

    Args:
        record: The agent's policy.
        given: Whether the caller has agreed before the call.

    Attributes:
        recorded: Whether it may be recorded now.
        withdrawals: How often the caller has taken it back: what was recorded before
            the last time has to go, whatever was said after it.
    """

    def __init__(self, record: Record, given: bool) -> None:
        self._record = record
        self.recorded = record == "always" or (record != "never" and given)
        self.withdrawals = 0

    @property
    def over(self) -> bool:
        """Whether the call cannot go on."""
        return self._record == "required" and not self.recorded

    def take(self, event: Event) -> None:
        """Take what the caller says of it.

        Raises:
            InvalidRequest: It is no such event, or the policy does not leave it to
                the caller.
        """
        match event.get("type"):
            case "offhook.recording.consent" if self._record == "never":
                raise _invalid("Calls to this agent are not recorded.")
            case "offhook.recording.consent":
                self.recorded = True
            case "offhook.recording.withdraw" if self._record == "always":
                raise _invalid(
                    "Calls to this agent are recorded on other grounds than consent: "
                    "hang up if you do not want it, and ask the operator."
                )
            case "offhook.recording.withdraw":
                self.recorded = False
                self.withdrawals += self._record != "never"
            case _:
                raise _invalid(
                    f"Of ours there are '{GIVE}', '{WITHDRAW}', and on bridged calls "
                    "'offhook.sound.start' and 'offhook.sound.stop'."
                )


def own_event(frame: str | bytes) -> Event | None:
    """Read an event that a caller has for this server, not for the model.

    Returns:
        None if it is for the model, or nobody can read it.
    """
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    if f'"{_OURS}' not in text:  # most are read by others anyway
        return None
    try:
        event = parse(text)
    except InvalidRequest:
        return None
    kind = event.get("type")
    return event if isinstance(kind, str) and kind.startswith(_OURS) else None


def started(recording_id: str) -> Event:
    """Tell a caller that a recording runs."""
    return _told("started", recording_id)


def stopped(recording_id: str, *, deleted: bool) -> Event:
    """Tell a caller that it runs no more, and whether any of it is left."""
    return {**_told("stopped", recording_id), "deleted": deleted}


def _told(what: str, recording_id: str) -> Event:
    kind = f"offhook.recording.{what}"
    return {"type": kind, "event_id": new_id("event"), "recording_id": recording_id}


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_value", param="type")
