"""What can go wrong between us and the broker.

BrokerError
├── NotConfirmed       the broker did not confirm a publish by its deadline, or refused it
│   └── Unroutable     a mandatory publish reached no queue
├── NotConnected       no connection by the deadline
└── CallTimedOut       nobody answered a request by its deadline
"""


class BrokerError(Exception):
    """Anything that the broker did or did not do."""


class NotConfirmed(BrokerError):
    """The broker has not confirmed the message: it may or may not have it. Publish again."""


class Unroutable(NotConfirmed):
    """No queue is bound for a mandatory message: the broker has not kept it."""


class NotConnected(BrokerError):
    """There is no connection to the broker, and none came by the deadline."""


class CallTimedOut(BrokerError):
    """Nobody answered a request by its deadline."""
