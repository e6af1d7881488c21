"""Calls of tools, chosen by the words of their schemas; no model behind it."""
