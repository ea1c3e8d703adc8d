"""The `tapewire` command: start a fleet, speak to it, look into it."""
