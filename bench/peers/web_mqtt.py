"""RabbitMQ's own way to browsers: MQTT over WebSocket. It has the server's core to itself."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import psutil

from bench import payload
from bench.machine import SERVER_CORE
from bench.servers import beam, broker, free_port
from bench.websocket import Script, client_frame, upgrade
from tapewire.broker import Link, Publisher, Role
from tapewire.contracts import new_id
from tapewire.fleet.rabbitmq import Node

BINARY: Final = 0x2
TOPIC: Final = "bench"


class WebMqtt:
    """One broker, its plugin, and a publisher."""

    name = "RabbitMQ Web MQTT"

    def __init__(self, node: Node, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self._node = node
        self.link = Link(node.url(), Role.PUBLISH, name="bench")
        self._publisher = Publisher(self.link)

    def scripts(self, count: int) -> Sequence[Script]:
        """CONNECT, then SUBSCRIBE with QoS 0 (MQTT 3.1.1)."""
        asked = upgrade("127.0.0.1", "/ws", subprotocol="mqtt")
        subscribe = b"\x00\x01" + _string(TOPIC) + b"\x00"
        subscribe = client_frame(b"\x82" + bytes([len(subscribe)]) + subscribe, BINARY)
        found: list[Script] = []
        for number in range(count):
            connect = _string("MQTT") + b"\x04\xc2\x00\x00" + _string(f"bench-{number}")
            connect += _string(self._node.admin.name) + _string(self._node.admin.password)
            connect = client_frame(b"\x10" + bytes([len(connect)]) + connect, BINARY)
            found.append(
                [(b"", asked), (b"\r\n\r\n", connect), (b"\x20\x02", subscribe), (b"\x90\x03", b"")]
            )
        return found

    async def publish(self, messages: int) -> None:
        """Publish to the exchange that MQTT topics are."""
        await asyncio.gather(
            *(
                self._publisher.publish(
                    *("amq.topic", TOPIC, payload.status()),
                    type="bench",
                    message_id=new_id(),
                    persistent=False,
                )
                for _ in range(messages)
            )
        )


def _string(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


@asynccontextmanager
async def start() -> AsyncGenerator[WebMqtt]:
    """Run a node with the plugin."""
    port = free_port()
    settings = "mqtt.listeners.tcp = none\nweb_mqtt.tcp.ip = 127.0.0.1\n"
    settings += f"web_mqtt.tcp.port = {port}\n"
    with broker(("rabbitmq_mqtt", "rabbitmq_web_mqtt"), settings) as node:
        pid = beam(node)
        for thread in psutil.Process(pid).threads():
            psutil.Process(thread.id).cpu_affinity([SERVER_CORE])
        hub = WebMqtt(node, pid, port)
        await hub.link.start()
        try:
            yield hub
        finally:
            await hub.link.close()
