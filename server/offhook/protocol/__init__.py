"""Protocol logic without I/O: nothing here waits, opens a socket or reads a clock."""
