"""`/ws`: from a handshake to a closed socket."""
