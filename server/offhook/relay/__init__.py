"""The server that a site mounts: mints grants, passes offers on, shows a page."""
