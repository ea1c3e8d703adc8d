"""Connections without a WebSocket: event streams, polls, posts."""
