"""meshbox: coordination server, relay and appliance for the official Tailscale clients."""

__version__ = "0.1.0"
