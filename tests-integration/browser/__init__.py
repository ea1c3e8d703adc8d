"""The dashboard in a real Chromium, on a real fleet."""
