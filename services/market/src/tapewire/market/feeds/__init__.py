"""Feeds: where ticks come from."""

from tapewire.market.feeds.feed import Feed
from tapewire.market.feeds.producers import Producers
from tapewire.market.feeds.replay import Replay, UnreadablePrices
from tapewire.market.feeds.simulated import Simulated

__all__ = ["Feed", "Producers", "Replay", "Simulated", "UnreadablePrices"]
