"""An outlet's engine beside the hub's own, in one process: real packets, real streams, real workers."""

from collections.abc import Callable

from hub.engine.local import LocalEngine
from hub.engine.shared import OutletEngine, Share
from hub.protocol.packets import Packets, socketpair


def attach(engine: LocalEngine, max_in_flight: int = 64) -> tuple[OutletEngine, Callable[[], None]]:
    """An engine that asks the workers of ``engine``, and what ends it as the end of its process would. In a loop."""
    ours, theirs = socketpair()
    outlet_side = Packets(theirs, lambda note, _data, files: outlet.take(note, files), lambda: None)
    hub_side = Packets(ours, lambda note, _data, _files: share.take(note), lambda: None)
    devices = [worker.device for worker in engine.status().workers]
    outlet = OutletEngine(devices, outlet_side.send, max_in_flight=max_in_flight, grace_s=0.5)
    share = Share(engine, hub_side.send)

    def leave() -> None:
        outlet_side.close()
        hub_side.close()
        share.close()

    return outlet, leave
