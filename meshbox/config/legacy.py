"""Headscale keys that meshbox does not have: which are passed over, and which are refused.

A Headscale file starts meshbox. A key that would only tune what meshbox does not need gets a
warning. A key that Headscale itself has removed, or whose silent loss would surprise somebody
(a login that is gone, a database left behind), stops the start and names the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def _one(raw: object) -> object:
    return [raw] if isinstance(raw, str) else raw


def _port_number(raw: object) -> object:
    return raw.removesuffix(":http") + ":80" if isinstance(raw, str) and raw.endswith(":http") else raw


RENAMED: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "acme_email": ("acme.email", str),
    "acme_url": ("acme.directory_url", str),
    "tls_letsencrypt_hostname": ("acme.domains", _one),
    "tls_letsencrypt_listen": ("http.listen_addr", _port_number),
}
"""Headscale's key -> ours, and its value as ours. Empty values are passed over."""

WITH_ANOTHER: Mapping[str, str] = {"tls_letsencrypt_listen": "tls_letsencrypt_hostname"}
"""A renamed key -> the key without which Headscale does not look at it."""

IGNORED: Mapping[str, str] = {
    "disable_check_updates": "meshbox never looks for updates",
    "grpc_listen_addr": "meshbox has no gRPC; the administration API is HTTP on unix_socket",
    "grpc_allow_insecure": "meshbox has no gRPC",
    "cli": "the command line takes --server, or MESHBOX_CLI_ADDRESS from the environment",
    "tls_letsencrypt_cache_dir": "certificates and account are kept in state_dir",
    "tls_letsencrypt_challenge_type": "names are proved by HTTP-01, on http.listen_addr",
    "ephemeral_node_inactivity_timeout": "the key is now node.ephemeral.inactivity_timeout",
    "preauth_keys": "revoked keys are kept until they are deleted",
    "derp.server.stun": "STUN is on whenever derp.server.enabled is",
    "database.debug": "use log.level",
    "database.gorm": "meshbox uses no GORM",
    "database.postgres": "this version keeps everything in SQLite",
    "database.sqlite.write_ahead_log": "SQLite is always in WAL mode",
    "database.sqlite.wal_autocheckpoint": "meshbox chooses when to checkpoint",
    "oidc.only_start_if_oidc_is_available": "the server starts without its provider, and tries again",
    "oidc.pkce": "PKCE with S256 is always used",
    "tuning": "meshbox has limits.* instead",
}
"""Path of a key or section -> why it changes nothing. Empty values are passed over in silence."""

REFUSED: Mapping[str, str] = {
    "acl_policy_path": "was renamed; use policy.path",
    "dns_config": "was renamed; move its keys to dns (nameservers are dns.nameservers.global)",
    "dns.use_username_in_magic_dns": "was removed; names are <node>.<dns.base_domain>. Delete the key",
    "randomize_client_port": "was removed; it belongs into the policy file as randomizeClientPort. Delete "
    "the key",
    "db_type": "was renamed; use database.type",
    "db_path": "was renamed; use database.sqlite.path",
    "ip_prefixes": "was renamed; use prefixes.v4 and prefixes.v6",
    "private_key_path": "was renamed; use noise.private_key_path",
    "log_level": "was renamed; use log.level",
    "oidc.strip_email_domain": "was removed; users keep their whole name. Delete the key",
    "oidc.map_legacy_users": "was removed. Delete the key",
    "oidc.expiry": "was renamed; use node.expiry",
    "oidc.client_secret": "would be a secret in the configuration; write it into a file and name that in "
    "oidc.client_secret_path",
}
"""Path of a key or section -> what to do. An empty value is no problem."""
