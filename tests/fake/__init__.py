"""Clients of our own in Python: independent of meshbox/wire, so that a common mistake cannot hide."""
