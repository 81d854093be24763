"""Packets: files that come with them are the receiver's, and nobody else's."""

import asyncio
import os

import uvloop

from hub.protocol.packets import Packets, socketpair


def test_a_process_that_is_started_inherits_no_file_that_came() -> None:
    async def came() -> tuple[bool, bytes]:
        ours, theirs = socketpair()
        arrived: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        here = Packets(ours, lambda _line, _data, files: arrived.set_result(files), lambda: None)
        there = Packets(theirs, lambda *_: None, lambda: None)
        read, write = os.pipe()
        there.send({"a": "file"}, files=[write])
        (file,) = await arrived
        sleeper = await asyncio.create_subprocess_exec("sleep", "60")
        is_inheritable = os.get_inheritable(file)
        os.close(file)
        end = await asyncio.to_thread(os.read, read, 1) if not is_inheritable else b"?"
        sleeper.kill()
        await sleeper.wait()
        os.close(read)
        here.close()
        there.close()
        return is_inheritable, end

    assert uvloop.run(came()) == (False, b"")
