"""Tapewire with its promise broken on purpose, for the self-tests: `python -m faults.mutants …`.

| mutant | breaks |
|---|---|
| `edge` | settles each delivery when it comes, and not when a client acked it |
| `device JSON` | `faults.device`, which acks before its (slow) handler ran |

Nothing of it is in the product: the classes are patched in this process.
"""

import asyncio
import json
import sys

from faults import device

HANDLER_TAKES_S = 1.0  # alerts come faster: whenever it is killed, some are acked and not handled


def break_edge() -> None:
    """Have trays settle at once."""
    from tapewire.edge.connection.effects import Settle
    from tapewire.edge.mailbox.tray import Tray

    deliver = Tray.deliver

    def settled_at_once(self, parcel, tag, now):
        effects = deliver(self, parcel, tag, now)
        held = self._held.get(parcel.id)
        if held is not None and held.tag == tag:
            held.tag = None
            effects.append(Settle(tag, now))
        return effects

    Tray.deliver = settled_at_once


def break_dispatcher() -> None:
    """Have the SDK ack what comes off the socket, before anybody handled it."""
    from tapewire.client.dispatch import Dispatcher

    push, hand_on = Dispatcher.push, Dispatcher._hand_on

    def acked_at_once(self, item):
        if getattr(item, "wants_ack", False):
            self._acks.add([item.id])
        push(self, item)

    async def slowly(self, message):
        await asyncio.sleep(HANDLER_TAKES_S)
        await hand_on(self, message)

    Dispatcher.push, Dispatcher._hand_on = acked_at_once, slowly


def main(kind: str, *arguments: str) -> None:
    """Run a mutant in the place of the sound one."""
    if kind == "edge":
        break_edge()
        from tapewire.edge.__main__ import main as run

        del sys.argv[1:]  # the edge has arguments of its own
        run()
    else:
        break_dispatcher()
        asyncio.run(device.main(json.loads(arguments[0])))


if __name__ == "__main__":
    main(*sys.argv[1:])
