from __future__ import annotations

import asyncio
from inspect import getsource
from typing import TYPE_CHECKING, Any

import pytest
from aioice import ice
from aiortc.rtcdtlstransport import State

from offhook.audio import opus
from offhook.media.bypass import Unsaid, opus_payload_type
from tests.media.legs import far_end
from tests.media.opus import encoded, tone

if TYPE_CHECKING:
    from offhook.protocol.rtp import Packet

pytestmark = pytest.mark.anyio


async def test_the_parts_that_rtp_goes_past_are_where_they_were() -> None:
    """What this asks for, `RtpPath` uses."""
    async with far_end() as (_, path):
        transceiver = path.transceiver
        sender: Any = transceiver.sender
        receiver: Any = transceiver.receiver
        dtls: Any = receiver.transport
        connection = dtls.transport._connection
        assert transceiver._codecs[0].mimeType == "audio/opus"
        assert opus_payload_type(transceiver) == 96
        assert callable(dtls._send_rtp)
        assert isinstance(sender._ssrc, int)
        assert sender._RTCRtpSender__rtp_history == {}
        for name in ("packet_count", "octet_count", "rtp_timestamp", "ntp_timestamp"):
            assert getattr(sender, f"_RTCRtpSender__{name}") == 0
        assert receiver._RTCRtpReceiver__remote_streams == {}
        assert dtls._state is State.CONNECTED
        assert callable(dtls._rx_srtp.unprotect)
        assert callable(dtls._tx_srtp.protect)
        pair = connection._nominated[1]
        assert pair.protocol.receiver is connection
        assert callable(pair.protocol.transport.sendto)
        assert isinstance(pair.remote_addr, tuple)
        # The hook: a method that the sockets call by this name.
        assert connection.data_received.__func__ is ice.Connection.data_received
        assert "receiver.data_received(" in getsource(ice.StunProtocol)


async def test_the_path_gives_the_packets_back() -> None:
    heard: list[Packet] = []
    async with far_end() as (far, path):
        transceiver = path.transceiver
        connection: Any = transceiver.receiver.transport.transport._connection
        path.open(lambda packet, now: heard.append(packet))
        assert isinstance(transceiver.sender.track, Unsaid)
        # A frame that aiortc had begun to encode.
        await transceiver.receiver.transport._send_rtp(b"\x80\x60" + bytes(20))
        path.close()
        assert far.heard == []
        await transceiver.receiver.transport._send_rtp(b"\x80\x60" + bytes(20))
        await far.until(lambda: far.heard)
        arrived: asyncio.Queue[bytes] = asyncio.Queue()
        connection.data_received = lambda data, component: arrived.put_nowait(data)
        far.say(b"x")
        async with asyncio.timeout(5):
            await arrived.get()
    assert heard == []


async def test_a_way_that_is_gone_takes_packets_in_vain() -> None:
    async with far_end() as (far, path):
        transceiver = path.transceiver
        path.open(lambda packet, now: None)
        await transceiver.receiver.transport.stop()
        await far.peer.close()
        path.send(bytes(50), 0, 0.0)
        await transceiver.receiver.transport.transport.stop()
        path.send(bytes(50), 0, 0.0)


async def test_who_speaks_faster_than_time_goes_by_is_not_heard_so() -> None:
    heard: list[Packet] = []
    last = encoded(tone(440, 0.1))[0]
    long = bytes([last[0] | 3, 6]) + bytes(30)  # six frames of 20 ms
    assert opus.duration(long) == 6 * 960
    async with far_end() as (far, path):
        path.open(lambda packet, now: heard.append(packet))
        async with asyncio.timeout(10):
            while (await path.statistics()).dropped < 20:
                far.say(long)
                await asyncio.sleep(0)  # lets it arrive
        received = (await path.statistics()).packets_received
    assert 9 < len(heard) * 0.12 < 12
    assert received == len(heard) + 20
