"""The keys of what keeps a server going by itself: certificates, port 80, backups. See schema.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from meshbox.config import kinds, network
from meshbox.config.keys import key, section
from meshbox.config.kinds import STATE_DIR, listed, optional, whole
from meshbox.config.network import Address


@dataclass(frozen=True, slots=True)
class Acme:
    enabled: bool = key(
        kinds.FLAG,
        False,
        "Get the TLS certificate for listen_addr from a certificate authority and renew it. Wants an https "
        "server_url, and port 80 of its host to reach http.listen_addr. Without this key: true when "
        "acme.domains are given.",
    )
    email: str = key(
        kinds.TEXT, "", "Where the authority may write about the account. Let's Encrypt no longer does."
    )
    directory_url: str = key(
        network.WEB_URL,
        "https://acme-v02.api.letsencrypt.org/directory",
        "The authority. For trying things out use Let's Encrypt's staging, whose limits are wide and whose "
        "certificates nobody trusts, at https://acme-staging-v02.api.letsencrypt.org/directory.",
    )
    domains: tuple[str, ...] = key(
        listed(network.HOST),
        (),
        "Names and addresses the certificate is for. Without any: the host of server_url. For an IP address "
        "the short-lived kind is asked for.",
    )
    profile: str = key(
        kinds.TEXT,
        "",
        "Kind of certificate to ask for, such as tlsserver or shortlived, where the authority has it. Empty: "
        "shortlived for IP addresses, otherwise its default.",
    )
    eab_key_id: str = key(
        kinds.TEXT,
        "",
        "For an authority that wants to know whose the account is (external account binding, as ZeroSSL and "
        "Google): the key id it gave you.",
    )
    eab_key_path: Path | None = key(
        optional(kinds.PATH), None, "File with the HMAC key that belongs to it, in base64url."
    )
    ca_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "Certificates (PEM) by which the authority's own server is trusted instead of the system's, for a "
        "private authority.",
    )


@dataclass(frozen=True, slots=True)
class Certificates:
    enabled: bool = key(
        kinds.FLAG,
        False,
        "Devices get certificates for their names (`tailscale cert`, `tailscale serve`). base_domain must be "
        "a public domain of yours, delegated to this server by an NS record: it then answers, as its name "
        "server, what certificate authorities ask, and nothing else. See docs/certificates.md.",
    )
    listen_addr: Address = key(
        network.ADDRESS, Address(":53"), "Where the name server answers, over UDP and TCP."
    )
    name_server: str = key(
        network.DOMAIN_OR_NONE,
        "",
        "Our name as a name server; what the NS record says. Empty is the host of server_url.",
        example="vpn.example.com",
    )


@dataclass(frozen=True, slots=True)
class Console:
    enabled: bool = key(
        kinds.FLAG,
        True,
        "Administration in a browser, at <server_url>/console: for whoever shows an API key, and with a "
        "sign-in provider for users with the role owner or admin. Others see their own machines there. Needs "
        "an https server_url.",
    )


@dataclass(frozen=True, slots=True)
class Http:
    listen_addr: Address | None = key(
        optional(network.ADDRESS),
        None,
        "A listener without TLS for port 80. It answers the challenges of certificate authorities, serves "
        'what clients use there, and sends browsers to server_url. Without this key: ":80" when acme.enabled '
        "is true, else off.",
        example='":80"',
    )
    webroot: Path | None = key(
        optional(kinds.PATH),
        None,
        "Directory below which .well-known/acme-challenge/ is served there, for certbot --webroot.",
    )


@dataclass(frozen=True, slots=True)
class Offsite:
    repository: str = key(
        kinds.TEXT,
        "",
        "A restic repository that each backup is copied to, made when missing. Empty: none.",
        example="sftp:backup@nas.example.com:/srv/meshbox",
    )
    password_path: Path | None = key(
        optional(kinds.PATH), None, "File with the password of that repository. Keep it elsewhere as well."
    )
    environment_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "File of NAME=value lines for restic's environment, such as AWS_ACCESS_KEY_ID.",
    )


@dataclass(frozen=True, slots=True)
class Backup:
    directory: Path = key(kinds.PATH, STATE_DIR / "backups", "Where `meshbox backup create` puts archives.")
    recipients: tuple[bytes, ...] = key(
        listed(kinds.BACKUP_RECIPIENT),
        (),
        "Public keys that archives are encrypted to, from `meshbox backup keygen`; each private key alone "
        "opens them and is only needed to restore. Empty: archives are not encrypted.",
    )
    keep_last: int = key(whole(1, 100_000), 3, "Of the archives, how many of the newest are kept.")
    keep_daily: int = key(whole(0, 100_000), 14, "For how many days the last archive of the day is kept.")
    keep_weekly: int = key(whole(0, 100_000), 8, "For how many weeks the last archive of the week is kept.")
    keep_monthly: int = key(
        whole(0, 100_000), 12, "For how many months the last archive of the month is kept."
    )
    max_age: float = key(
        kinds.DURATION,
        50 * 3600.0,
        "A newest backup older than this is a warning of /health, as is none at all by then; 0 is no "
        "warning.",
    )
    offsite: Offsite = section(Offsite, "A copy elsewhere, by restic.")


@dataclass(frozen=True, slots=True)
class Audit:
    retention: float = key(
        kinds.DURATION,
        730 * 86_400.0,
        "How long a row of the audit is kept; 0 is for ever. A row has about 150 bytes.",
    )
