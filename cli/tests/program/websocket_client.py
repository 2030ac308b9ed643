"""Speaks with the echo at a WebSocket URL; ends with an error if it does not answer as it should.

Arguments: what to do, the URL, and the file of the authority to trust if there is TLS.
"""

import asyncio
import ssl
import sys

import websockets


def connect(url, authority, **options):
    context = ssl.create_default_context(cafile=authority) if authority else None
    options.setdefault("max_size", None)
    return websockets.connect(url, ssl=context, proxy=None, **options)


async def echo(url, authority):
    """Messages of both kinds and all lengths, whole and in fragments, in order."""
    async with connect(url, authority) as socket:
        lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]
        for message in [b"\xfe" * length for length in lengths] + ["ä" * 1000, ""]:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["frag", "", "ments", " of ä text"])
        assert await socket.recv() == "fragments of ä text"
        await socket.send([b"x" * 1000] * 100)
        assert await socket.recv() == b"x" * 100_000
        for number in range(200):
            await socket.send(str(number))
        assert [await socket.recv() for _ in range(200)] == [str(n) for n in range(200)]
        pongs = [await socket.ping(data) for data in (b"", b"x" * 125)]
        await asyncio.gather(*pongs)
        await socket.close(4000, "enough")
        assert (socket.close_code, socket.close_reason) == (4000, "enough"), socket.close_code


async def crowd(url, authority):
    """Many connections at once, of which some leave without a word."""

    async def one(number):
        async with connect(url, authority) as socket:
            for length in range(0, 50_000, 5_000):
                await socket.send(bytes([number]) * length)
                assert await socket.recv() == bytes([number]) * length
            if number % 4 == 0:
                socket.transport.abort()

    await asyncio.gather(*(one(number) for number in range(100)))


async def too_long(url, authority):
    """A message beyond the bound ends the connection with 1009."""
    async with connect(url, authority, compression=None) as socket:
        try:
            await socket.send(b"x" * 70_000)
            await socket.recv()
        except websockets.ConnectionClosed:
            pass
        assert socket.close_code == 1009, socket.close_code


async def too_many_fragments(url, authority):
    """So do fragments that exceed it together."""
    async with connect(url, authority, compression=None) as socket:
        try:
            await socket.send([b"x" * 100] * 1000)
            await socket.recv()
        except websockets.ConnectionClosed:
            pass
        assert socket.close_code == 1009, socket.close_code


async def drain(url, authority):
    """Stays until the server closes."""
    async with connect(url, authority) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        print("connected", flush=True)
        try:
            await socket.recv()
        except websockets.ConnectionClosed:
            pass
        print(f"closed {socket.close_code}", flush=True)


what, url, authority = (sys.argv + [None])[1:4]
asyncio.run(globals()[what](url, authority))
