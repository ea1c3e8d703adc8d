"""One client connection: its conversation, its channels, its limits. Knows no broker."""
