"""Media: the only home of aiortc and av."""
