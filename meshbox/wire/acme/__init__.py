"""Getting a certificate from an authority (ACME, RFC 8555), without a socket."""
