"""What survives: the only room that knows SQL."""
