"""What the broker library measures, through OpenTelemetry's API: nothing where no SDK is set up.

The names are declared, with all of the fleet's, in ``tapewire.service.metrics``; a test there finds
one that is not.
"""

from typing import Final

from opentelemetry.metrics import get_meter

_METER: Final = get_meter("tapewire.broker")
# In seconds: from a confirm on one machine to the ack deadline, as ``tapewire.service.instruments``
_BOUNDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)

CONFIRM_DURATION: Final = _METER.create_histogram(
    "tapewire.broker.confirm.duration",
    unit="s",
    description="From handing a message over to the broker's confirm",
    explicit_bucket_boundaries_advisory=_BOUNDS,
)
NOT_CONFIRMED: Final = _METER.create_counter(
    "tapewire.broker.not_confirmed",
    unit="{message}",
    description="Publishes that ended without a confirm; reason is deadline, unroutable or failed",
)
HANDLE_DURATION: Final = _METER.create_histogram(
    "tapewire.broker.handle.duration",
    unit="s",
    description="From a handler's start to the settlement; outcome is ack, requeue or dead_letter",
    explicit_bucket_boundaries_advisory=_BOUNDS,
)
REDELIVERED: Final = _METER.create_counter(
    "tapewire.broker.redelivered",
    unit="{message}",
    description="Deliveries that the broker marked redelivered",
)
