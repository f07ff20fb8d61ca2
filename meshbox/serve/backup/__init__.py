"""Backups as a whole: made, listed, checked, put back, thinned out, copied elsewhere.

Each function is a program of its own (`meshbox backup ...`), beside a running server or without one; nothing
here needs the server, and the server only reads how the last one went (`status`).
"""
