from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest
from cryptography import x509

from meshbox.errors import CertificateError
from meshbox.serve.selfsigned import CERT_NAME, KEY_NAME, self_signed
from meshbox.wire.keys import NodeKey

DAY = 86_400.0
HOSTS = ["192.0.2.7", "relay.example", "2001:db8::7"]


def names(directory: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate((directory / CERT_NAME).read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def test_it_covers_names_and_addresses_for_ten_years(tmp_path: Path) -> None:
    now = time.time()
    made = self_signed(tmp_path, HOSTS, now)
    assert names(tmp_path) == HOSTS
    assert made.expires_at == pytest.approx(now + 3650 * DAY, abs=DAY)
    assert made.pin.startswith("sha256-raw:")
    assert stat.S_IMODE((tmp_path / KEY_NAME).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [CERT_NAME, KEY_NAME]


def test_it_is_kept_as_long_as_it_serves(tmp_path: Path) -> None:
    now = time.time()
    first = self_signed(tmp_path, HOSTS, now)
    assert self_signed(tmp_path, HOSTS, now + 3000 * DAY).pin == first.pin
    assert self_signed(tmp_path, [*HOSTS, HOSTS[0]], now).pin == first.pin
    assert self_signed(tmp_path, HOSTS, now, relay_key=NodeKey(bytes(32))).pin == first.pin


@pytest.mark.parametrize("reason", ["another address", "expires", "no key", "damaged"])
def test_it_is_made_anew_when_it_cannot_serve(tmp_path: Path, reason: str) -> None:
    now = time.time()
    first = self_signed(tmp_path, HOSTS, now - 3640 * DAY if reason == "expires" else now)
    hosts = ["192.0.2.8"] if reason == "another address" else HOSTS
    if reason == "no key":
        (tmp_path / KEY_NAME).unlink()
    if reason == "damaged":
        (tmp_path / CERT_NAME).write_text("x")
    second = self_signed(tmp_path, hosts, now)
    assert second.pin != first.pin
    assert names(tmp_path) == hosts


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="cannot keep a self-signed certificate in"):
        self_signed(tmp_path / "absent", HOSTS, time.time())


def test_a_long_host_name_fits(tmp_path: Path) -> None:
    host = ".".join(["a" * 60] * 3)
    self_signed(tmp_path, [host], time.time())
    assert names(tmp_path) == [host]
