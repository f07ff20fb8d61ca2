"""The DERP switchboard: pure protocol state, no sockets."""
