"""The relay's way to whoever answers a call."""
