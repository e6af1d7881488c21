"""An upstream for the WebSocket benchmark: each audio event comes back as an answer's.

python -m tests.benchmarks.echo
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from websockets.asyncio.server import ServerConnection, serve

_SESSION = {"type": "realtime", "object": "realtime.session", "id": "sess_1"}


async def answer(connection: ServerConnection) -> None:
    await connection.send(_event("session.created"))
    async for text in connection:
        assert isinstance(text, str)
        if "session.update" in text[:64]:
            await connection.send(_event("session.updated"))
        else:
            echo = text.replace(
                "input_audio_buffer.append", "response.output_audio.delta"
            )
            await connection.send(echo)


def _event(kind: str) -> str:
    return json.dumps({"type": kind, "event_id": "event_1", "session": _SESSION})


async def main() -> None:
    # Floods and probes end without a goodbye.
    logging.disable()
    async with serve(answer, "127.0.0.1", 0, compression=None) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
