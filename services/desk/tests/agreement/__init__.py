"""Polling and socket agree: a page as a fold of what desk and the broker really say."""
