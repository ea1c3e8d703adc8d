"""Limits, alarm episodes and emergency stops of trading sessions."""
