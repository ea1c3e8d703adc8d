"""Runs the whole of Tapewire on one machine: broker, services, supervision, `.run/fleet.json`."""
