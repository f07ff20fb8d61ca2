"""The hand: click commands over the API on a unix socket."""
