"""pipecat's echo over its SmallWebRTC transport: each frame that comes is sent."""

from __future__ import annotations

import asyncio
from typing import Any

from pipecat.frames.frames import (  # type: ignore[import-not-found,unused-ignore]  # its own environment
    InputAudioRawFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineTask
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from signalling import serve  # type: ignore[import-not-found]  # beside this script

RATE = 24000
tasks: list[asyncio.Task[None]] = []


class Echo(FrameProcessor):  # type: ignore[misc,unused-ignore]  # of no known type
    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            frame = OutputAudioRawFrame(
                frame.audio, frame.sample_rate, frame.num_channels
            )
        await self.push_frame(frame, direction)


async def answer(sdp: str) -> str:
    connection: Any = SmallWebRTCConnection(ice_servers=[])
    await connection.initialize(sdp=sdp, type="offer")
    transport = SmallWebRTCTransport(
        webrtc_connection=connection,
        params=TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=RATE,
            audio_out_enabled=True,
            audio_out_sample_rate=RATE,
        ),
    )
    pipeline = Pipeline([transport.input(), Echo(), transport.output()])
    runner = PipelineRunner(handle_sigint=False)
    tasks.append(asyncio.create_task(runner.run(PipelineTask(pipeline))))
    await connection.connect()
    return str(connection.get_answer()["sdp"])


serve(answer)
