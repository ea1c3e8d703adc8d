"""The dashboard's own server: static files, where the services are, and the demo's tokens."""
