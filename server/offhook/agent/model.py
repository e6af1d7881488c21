"""The model of openai-agents' RealtimeRunner, over one of our transports."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from agents.realtime.model import RealtimeModel
from agents.realtime.model_events import (
    RealtimeModelAudioDoneEvent,
    RealtimeModelAudioEvent,
    RealtimeModelAudioInterruptedEvent,
    RealtimeModelConnectionStatusEvent,
    RealtimeModelEndOfStreamEvent,
    RealtimeModelExceptionEvent,
    RealtimeModelItemDeletedEvent,
    RealtimeModelItemUpdatedEvent,
    RealtimeModelOutputTextDeltaEvent,
    RealtimeModelRawServerEvent,
    RealtimeModelToolCallEvent,
    RealtimeModelTranscriptDeltaEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
)
from agents.realtime.model_inputs import (
    RealtimeModelSendAudio,
    RealtimeModelSendInterrupt,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
)

from offhook.agent.events import (
    error_of,
    item_of,
    timeout_of,
    transcription_of,
    usage_of,
)
from offhook.agent.settings import config, config_over, first_config
from offhook.errors import InvalidRequest
from offhook.protocol import transport_events as told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agents.realtime.model import RealtimeModelConfig, RealtimeModelListener
    from agents.realtime.model_events import RealtimeModelEvent
    from agents.realtime.model_inputs import RealtimeModelSendEvent

    from offhook.events import Event
    from offhook.transports.base import ApiKey, RealtimeTransportLayer
    from offhook.transports.emitter import Listener

_log = logging.getLogger(__name__)

_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


# How long the answer to one tool waits for others that still run.
_TOGETHER_SECONDS = 0.1


class TransportModel(RealtimeModel):
    """Lets `RealtimeRunner(agent, model=TransportModel(transport))` talk over it.

    Sessions may follow each other, one at a time. The configuration that an agent does
    not give is the SDK's; `headers` and a `playback_tracker` belong to the transport.

    Args:
        transport: Disconnected; the session connects it, and closes it.
        config: A session's configuration in the words of the API, in place of the
            SDK's; what the agents ask for goes over it.
    """

    def __init__(
        self,
        transport: RealtimeTransportLayer,
        *,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._transport = transport
        self._config = config
        self._prompted = False
        self._listeners: list[RealtimeModelListener] = []
        # Not bounded: as long as a tool runs in a listener, what comes has to wait.
        self._events: asyncio.Queue[RealtimeModelEvent] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._failed = False
        self._outputs = 0
        # The functions that were called and have given nothing yet.
        self._calls: set[str] = set()
        self._ongoing: str | None = None
        # The response, the item and its part that spoke last.
        self._spoken: tuple[str, str, int] | None = None
        self._handlers: Mapping[str, Listener] = {
            "*": self._raw,
            "connection_change": self._status,
            "disconnected": self._end,
            "error": self._error,
            "audio": self._audio,
            "audio_done": self._audio_done,
            "audio_interrupted": self._interrupted,
            "audio_transcript_delta": self._words,
            "output_text_delta": self._text,
            "item_update": self._item,
            "item_deleted": self._deleted,
            "function_call": self._call,
            "turn_started": self._turn_started,
            "usage_update": self._usage,
            "turn_done": self._turn_done,
            _TRANSCRIBED: self._transcribed,
            "input_audio_buffer.timeout_triggered": self._timeout,
        }

    async def connect(self, options: RealtimeModelConfig) -> None:
        """Connect the transport, and configure the session.

        Raises:
            InvalidRequest: It is connected, or an option is none of a transport's.
            OffhookError: It cannot connect; it can be tried again.
        """
        settings = options.get("initial_model_settings", {})
        call_id = options.get("call_id")
        self._check(options)
        if self._config is None:
            session = first_config(settings, beside_call=call_id is not None)
        else:
            session = config_over(settings, self._config)
        self._prompted = "prompt" in session
        self._begin()
        try:
            await self._transport.connect(
                api_key=cast("ApiKey | None", options.get("api_key")),
                model=settings.get("model_name"),
                url=options.get("url"),
                call_id=call_id,
                initial_session_config=session,
            )
        except BaseException:
            await self.close()
            raise

    def add_listener(self, listener: RealtimeModelListener) -> None:
        """Tell a listener all that happens from now on."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        """Tell it nothing any more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        """Send an event, and wait until it has left.

        Raises:
            InvalidRequest: There is no connection.
            ValueError: An interruption contradicts itself.
        """
        self._send(event)
        if not isinstance(event, RealtimeModelSendToolOutput):
            await self._transport.drain()
        elif event.start_response:
            await self._request_once()

    async def send_event_if(
        self, event: RealtimeModelSendEvent, send_if: Callable[[], bool]
    ) -> bool:
        """Send an event if the condition holds at that very moment."""
        if not send_if():
            return False
        await self.send_event(event)
        return True

    async def close(self) -> None:
        """Hang up; listeners are told nothing any more."""
        pump, self._pump = self._pump, None
        for name, handler in self._handlers.items():
            self._transport.off(name, handler)
        # A listener that closes goes on, and the pump ends after it.
        if pump and pump is not asyncio.current_task():
            pump.cancel()
            await asyncio.wait([pump])
        await self._transport.close()

    async def _request_once(self) -> None:
        # Tools that end together get one answer, which needs the outputs of all.
        self._outputs += 1
        mine = self._outputs
        await self._transport.drain()
        if self._calls:
            # Others run: quick ones end in this time, and a slow one holds up nobody.
            await asyncio.sleep(_TOGETHER_SECONDS)
        if mine == self._outputs and self._transport.status == "connected":
            self._transport.request_response()

    def _check(self, options: RealtimeModelConfig) -> None:
        if self._pump or self._transport.status != "disconnected":
            raise InvalidRequest(
                "The transport is connected: close the other session first.",
                code="already_connected",
            )
        if options.get("headers") is not None:
            raise InvalidRequest(
                "Give the headers to the transport, not to the session.",
                code="not_supported",
                param="headers",
            )
        if options.get("playback_tracker") is not None:
            raise InvalidRequest(
                "The transport knows what was heard: make it with reported=True and "
                "call its played() instead of a playback tracker.",
                code="not_supported",
                param="playback_tracker",
            )

    def _begin(self) -> None:
        self._events = asyncio.Queue()
        self._failed = False
        self._ongoing = self._spoken = None
        self._calls.clear()
        for name, handler in self._handlers.items():
            self._transport.on(name, handler)
        self._pump = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        me = asyncio.current_task()
        while self._pump is me:
            event = await self._events.get()
            try:
                await self._tell(event)
            except Exception as error:
                # As in the SDK: who iterates over the session gets it.
                context = f"A listener failed at {event.type}"
                failure = RealtimeModelExceptionEvent(error, context)
                try:
                    await self._tell(failure)
                except Exception:
                    _log.exception("a listener failed at the failure of a listener")

    async def _tell(self, event: RealtimeModelEvent) -> None:
        for listener in tuple(self._listeners):
            await listener.on_event(event)

    def _send(self, event: RealtimeModelSendEvent) -> None:
        match event:
            case RealtimeModelSendRawMessage(message):
                fields = message.get("other_data", {})
                self._transport.send_event({"type": message["type"], **fields})
            case RealtimeModelSendUserInput(str(text)):
                self._transport.send_message(text)
            case RealtimeModelSendUserInput(user_input):
                parts = cast("Any", user_input)["content"]
                self._transport.send_message(parts)
            case RealtimeModelSendAudio(audio, commit):
                self._transport.send_audio(audio, commit=commit)
            case RealtimeModelSendToolOutput(call, output):
                self._calls.discard(call.call_id)
                called = told.FunctionCall(
                    call.id or "", call.call_id, call.name, call.arguments, ""
                )
                self._transport.send_function_call_output(
                    called, output, start_response=False
                )
            case RealtimeModelSendInterrupt():
                self._interrupt(event)
            case RealtimeModelSendSessionUpdate(settings):
                self._update(settings)

    def _update(self, settings: Mapping[str, Any]) -> None:
        session = config(settings, beside=self._config)
        if self._prompted and "prompt" not in session:
            # What is left out would stay: the prompt of the agent before.
            session["prompt"] = None
        self._prompted = session.get("prompt") is not None
        self._transport.update_session_config(session)

    def _interrupt(self, event: RealtimeModelSendInterrupt) -> None:
        wanted = event.response_id
        if event.playback_only and (
            event.cancel_response_only or event.force_response_cancel
        ):
            raise ValueError("playback_only and a cancellation contradict each other")
        if event.cancel_response_only and wanted is None:
            raise ValueError("cancel_response_only needs a response_id")
        speaking = self._spoken is not None and wanted in (None, self._spoken[0])
        others = self._ongoing is not None and self._ongoing != wanted
        if not event.cancel_response_only and (wanted is None or speaking):
            if not event.playback_only and (wanted is None or not others):
                self._transport.interrupt()
                return
            if event.playback_only and self._ongoing is None:
                self._transport.interrupt()
                return
            # The transport would cancel a response that is to go on.
            self._interrupted(told.AudioInterrupted())
        if wanted is not None and wanted == self._ongoing and not event.playback_only:
            cancel = {"type": "response.cancel", "response_id": wanted}
            self._transport.send_event(cancel)

    def _put(self, event: RealtimeModelEvent) -> None:
        if self._listeners:
            self._events.put_nowait(event)

    def _raw(self, event: Event) -> None:
        self._put(RealtimeModelRawServerEvent(event))

    def _status(self, status: told.Status) -> None:
        if status != "disconnecting":
            self._put(RealtimeModelConnectionStatusEvent(status))

    def _error(self, error: told.TransportError) -> None:
        lost = self._transport.status == "disconnected"
        if lost and isinstance(error.error, Exception):
            self._failed = True
            context = "The connection was lost"
            self._put(RealtimeModelExceptionEvent(error.error, context))
        else:
            self._put(error_of(error.error))

    def _end(self) -> None:
        # After an exception it would keep the session from raising it.
        if not self._failed:
            self._put(RealtimeModelEndOfStreamEvent())

    def _audio(self, audio: told.Audio) -> None:
        part = (audio.response_id, audio.item_id, audio.content_index)
        self._spoken = part
        self._put(RealtimeModelAudioEvent(audio.data, *part))

    def _audio_done(self, done: told.AudioDone) -> None:
        self._put(RealtimeModelAudioDoneEvent(done.item_id, done.content_index))

    def _interrupted(self, interrupted: told.AudioInterrupted) -> None:
        item_id, index = interrupted.item_id, interrupted.content_index
        if item_id is None and self._spoken:
            # Over WebRTC the server knows what is being heard, and we know the last.
            _, item_id, index = self._spoken
        if item_id is not None:
            self._put(RealtimeModelAudioInterruptedEvent(item_id, index))

    def _words(self, words: told.Delta) -> None:
        if self._spoken is None or self._spoken[1] != words.item_id:
            self._spoken = (words.response_id, words.item_id, 0)
        delta = (words.item_id, words.delta, words.response_id)
        self._put(RealtimeModelTranscriptDeltaEvent(*delta))

    def _text(self, words: told.Delta) -> None:
        delta = (words.item_id, words.delta, words.response_id)
        self._put(RealtimeModelOutputTextDeltaEvent(*delta))

    def _item(self, update: told.ItemUpdate) -> None:
        # It comes with each word.
        if self._listeners and (item := item_of(update.item)):
            self._put(RealtimeModelItemUpdatedEvent(item))

    def _deleted(self, deleted: told.ItemDeleted) -> None:
        self._put(RealtimeModelItemDeletedEvent(deleted.item_id))

    def _call(self, call: told.FunctionCall) -> None:
        self._calls.add(call.call_id)
        fields = (call.name, call.call_id, call.arguments, call.id)
        self._put(RealtimeModelToolCallEvent(*fields))

    def _turn_started(self, turn: told.TurnStarted) -> None:
        self._ongoing = turn.response_id
        self._put(RealtimeModelTurnStartedEvent(response_id=turn.response_id))

    def _usage(self, usage: told.Usage) -> None:
        if usage != told.Usage():
            self._put(usage_of(usage))

    def _turn_done(self, turn: told.TurnDone) -> None:
        if self._ongoing == turn.response_id:
            self._ongoing = None
        self._put(RealtimeModelTurnEndedEvent(response_id=turn.response_id))

    def _transcribed(self, event: Event) -> None:
        if transcription := transcription_of(event):
            self._put(transcription)

    def _timeout(self, event: Event) -> None:
        self._put(timeout_of(event))
