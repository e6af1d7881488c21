"""What is played to a transport that speaks: who cuts in, and what was heard then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.traces.script import CREATE, TRUNCATE, Script, adding, answered

if TYPE_CHECKING:
    from tests.traces.stage import Event, Stage

AUDIO_SCRIPTS: dict[str, Script] = {}
script = adding(AUDIO_SCRIPTS)

INTERRUPTS = {"type": "server_vad", "interrupt_response": True}
CUTTING: Event = {"audio": {"input": {"turn_detection": INTERRUPTS}, "output": {}}}


async def speaking(
    stage: Stage, ms: float = 1000, session: Event | None = None
) -> None:
    """Answer, and let the first of it be heard."""
    await stage.open()
    await stage.send("session.updated", session=session or {"type": "realtime"})
    await stage.begin()
    await stage.audio(ms)
    await stage.play(100)


@script()
async def an_interruption(stage: Stage) -> None:
    await speaking(stage)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.do("message", "Stop")
    await stage.expect(CREATE)
    await stage.end(status="cancelled")
    await answered(stage, 2)
    await stage.do("close")


@script()
async def a_cancellation(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.do("event", {"type": "response.cancel"})
    await stage.do("event", {"type": "response.cancel"})
    await stage.do("interrupt")
    await stage.do("message", "Stop")
    await stage.expect(CREATE)
    await stage.end(status="cancelled")
    await answered(stage, 2)
    await stage.do("close")


@script()
async def two_interruptions(stage: Stage) -> None:
    await speaking(stage)
    await stage.do("interrupt")
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script("silent")
async def an_interruption_before_any_audio(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.do("interrupt")
    await stage.do("close")


@script("silent")
async def speech_before_any_audio(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.speech()
    await stage.do("close")


@script("late")
async def audio_that_comes_late(stage: Stage) -> None:
    await speaking(stage)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.audio(200)
    await stage.end(status="cancelled")
    await stage.begin("r2")
    await stage.audio(20, "i2", "r2")
    await stage.do("close")


@script()
async def speech_where_the_server_cancels(stage: Stage) -> None:
    await speaking(stage, session=CUTTING)
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script()
async def speech_where_we_cancel(stage: Stage) -> None:
    await speaking(stage)
    await stage.speech()
    await stage.expect("response.cancel")
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script()
async def speech_while_the_rest_is_played(stage: Stage) -> None:
    await speaking(stage)
    await stage.audio_done()
    await stage.end()
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script()
async def speech_after_the_end(stage: Stage) -> None:
    await speaking(stage, 20)
    await stage.audio_done()
    await stage.end()
    await stage.speech()
    await stage.do("close")


@script()
async def speech_where_the_next_audio_is_late(stage: Stage) -> None:
    await speaking(stage, 20.4)
    await stage.speech()
    await stage.expect(TRUNCATE, audio_end_ms=20)
    await stage.do("close")


@script()
async def speech_over_a_response_that_began_unseen(stage: Stage) -> None:
    await stage.open()
    await stage.audio(1000)
    await stage.play(50)
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script("queued")
async def speech_over_the_first_of_two_items(stage: Stage) -> None:
    await speaking(stage)
    await stage.audio(1000, "i2")
    await stage.play(100)
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


TELEPHONE = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}


@script()
async def lengths_in_the_format_of_the_session(stage: Stage) -> None:
    await stage.open()
    await stage.send("session.updated", session=TELEPHONE)
    await stage.begin()
    # Of a response that has begun, a later format is none.
    await stage.send("session.updated", session={"type": "realtime"})
    await stage.audio(40, rate=8)
    await stage.play(120)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE, audio_end_ms=40)
    await stage.do("close")


@script()
async def lengths_in_the_format_of_the_response(stage: Stage) -> None:
    await stage.open()
    format_ = {"type": "audio/pcm", "rate": 16000}
    await stage.begin(audio={"output": {"format": format_}})
    await stage.audio(30, rate=32)
    await stage.play(120)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE, audio_end_ms=30)
    await stage.do("close")
