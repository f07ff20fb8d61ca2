"""Signing in by an OpenID Connect provider: the conversation with it, and a browser's way there and back."""
