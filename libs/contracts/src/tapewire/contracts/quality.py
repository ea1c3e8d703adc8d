"""Quality of service: what a client may count on for a message."""

from enum import StrEnum


class Quality(StrEnum):
    """The delivery class of a message type.

    ======== =================== =============================== ==========================
    class    online              away                            under pressure
    ======== =================== =============================== ==========================
    live     newest value        not kept; snapshot on return    conflated per routing key
    recent   every one, in order last 100, then ``gap: true``    bounded, then 4001
    critical every one, acked    kept until acked, however long  never dropped
    ======== =================== =============================== ==========================
    """

    LIVE = "live"
    RECENT = "recent"
    CRITICAL = "critical"
