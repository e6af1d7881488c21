"""One connection that carries JSON events as texts, whatever it runs over."""
