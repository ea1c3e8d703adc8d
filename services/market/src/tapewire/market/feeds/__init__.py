"""Feeds: where ticks come from. ``replay`` is apart: it is imported by who needs pyarrow."""

from tapewire.market.feeds.feed import Feed, FeedRefused
from tapewire.market.feeds.producers import Producers
from tapewire.market.feeds.simulated import Simulated

__all__ = ["Feed", "FeedRefused", "Producers", "Simulated"]
