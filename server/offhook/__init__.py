"""Offhook puts a realtime voice agent on any web site."""

__version__ = "0.1.0"
