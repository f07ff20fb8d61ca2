"""The state: one Tailnet, one synchronous writer. No sockets, no SQL."""
