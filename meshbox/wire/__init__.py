"""What travels: bytes to values and back. No socket, no clock, no task."""
