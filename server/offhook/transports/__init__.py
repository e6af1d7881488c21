"""A client's ways to a model."""
