"""Feeds in, conflated quotes, bars and volatility alerts out."""
