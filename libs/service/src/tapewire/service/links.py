"""Figures of the broker links that are among a service's components."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager

from tapewire.broker import Link
from tapewire.service import metrics
from tapewire.service.lifecycle import Component


@contextmanager
def observed(components: Sequence[Component]) -> Generator[None]:
    """Show on `/metrics` which links are up and how often each came back."""
    links = [component for component in components if isinstance(component, Link)]

    def by_role(figure: Callable[[Link], float]) -> metrics.Callback:
        return lambda: [
            (sum(figure(link) for link in links if link.role is role), {"role": role.value})
            for role in {link.role for link in links}
        ]

    with ExitStack() as stack:
        if links:
            stack.callback(metrics.observe(metrics.BROKER_UP, by_role(lambda link: link.is_up)))
            stack.callback(
                metrics.observe(metrics.BROKER_RECONNECTS, by_role(lambda link: link.reconnects))
            )
        yield
