"""Bytes to and from clients: frames, the WebSocket protocol, what waits to be written."""
