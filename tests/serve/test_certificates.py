from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from meshbox.errors import CertificateError
from meshbox.serve import certificates
from meshbox.serve.certificates import Certificate
from meshbox.wire.keys import NodeKey
from tests.serve.tlsends import client_context

RELAY_KEY = NodeKey(bytes(range(32)))

pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length must be")


def make(
    directory: Path, days: tuple[float, float] = (-1, 30), password: bytes | None = None
) -> tuple[Path, Path]:
    """A certificate valid for those days from now, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(exist_ok=True)
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    cert_path, key_path = directory / "cert.pem", directory / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    return cert_path, key_path


def handshake(context: ssl.SSLContext, client: ssl.SSLContext | None = None) -> ssl.SSLObject:
    """The client's side after a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = (client or client_context()).wrap_bio(to_client, to_server)
    far = context.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (near, far):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
    return near


def leaf_of(context: ssl.SSLContext) -> bytes:
    leaf = handshake(context).getpeercert(binary_form=True)
    assert leaf is not None
    return leaf


def test_a_pair_serves_and_its_pin_is_of_the_leaf(tmp_path: Path) -> None:
    cert_path, key_path = make(tmp_path)
    certificate = Certificate(cert_path, key_path)
    assert certificate.pin == "sha256-raw:" + hashlib.sha256(leaf_of(certificate.context)).hexdigest()
    assert certificate.expires_at == pytest.approx(time.time() + 30 * 86_400, abs=60)


def test_the_context_is_careful(tmp_path: Path) -> None:
    context = Certificate(*make(tmp_path)).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.num_tickets == 0


def test_the_metacert_comes_last_and_only_if_wanted(tmp_path: Path) -> None:
    cert_path, key_path = make(tmp_path)
    assert chain_subjects(Certificate(cert_path, key_path).context) == ["CN=relay.test"]
    with_metacert = Certificate(cert_path, key_path, RELAY_KEY)
    assert chain_subjects(with_metacert.context) == ["CN=relay.test", f"CN=derpkey{RELAY_KEY.hex()}"]
    assert with_metacert.pin == Certificate(cert_path, key_path).pin


def chain_subjects(context: ssl.SSLContext) -> list[str]:
    """Subjects of the chain as it travels, out of a TLS 1.2 handshake in the clear."""
    client = client_context(ssl.TLSVersion.TLSv1_2)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = context.wrap_bio(to_server, to_client, server_side=True)
    for end in (near, far):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    flight = to_client.read()
    found = []
    at = 0
    while (at := flight.find(b"\x30\x82", at)) >= 0:
        try:
            der = flight[at : at + 4 + int.from_bytes(flight[at + 2 : at + 4], "big")]
            found.append(x509.load_der_x509_certificate(der).subject.rfc4514_string())
            at += len(der)
        except ValueError:
            at += 1
    return found


def test_a_reload_changes_what_new_connections_get_at_once(tmp_path: Path) -> None:
    certificate = Certificate(*make(tmp_path))
    before, pin = certificate.context, certificate.pin
    make(tmp_path)
    certificate.reload()
    assert certificate.context is not before
    assert certificate.pin != pin
    assert leaf_of(certificate.context) != leaf_of(before)


def test_a_reload_that_fails_changes_nothing(tmp_path: Path) -> None:
    cert_path, key_path = make(tmp_path)
    certificate = Certificate(cert_path, key_path)
    before, pin = certificate.context, certificate.pin
    key_path.unlink()
    with pytest.raises(CertificateError):
        certificate.reload()
    assert (certificate.context, certificate.pin) == (before, pin)


def test_the_metacert_is_made_anew_in_time_even_without_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert_path, key_path = make(tmp_path)
    certificate = Certificate(cert_path, key_path, RELAY_KEY)
    first = certificate.context
    assert certificate.context is first
    later = time.time() + certificates.MINT_AFTER + 1
    monkeypatch.setattr(time, "time", lambda: later)
    second = certificate.context
    assert second is not first
    key_path.unlink()
    later += certificates.MINT_AFTER + 1
    assert certificate.context is second


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("no cert", "cannot read the TLS certificate .*cert.pem: No such file"),
        ("no key", "cannot read the TLS key .*key.pem"),
        ("not pem", "cert.pem holds no certificate"),
        ("broken pem", "cert.pem holds a damaged certificate"),
        ("key is no key", "key.pem holds no private key"),
        ("other key", "key.pem does not belong to the certificate"),
        ("locked key", "key.pem is encrypted"),
        ("expired", "expired on 20.*: renew it"),
        ("future", "valid only from 20.*clock"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path: Path, damage: str, sentence: str) -> None:
    days = {"expired": (-10.0, -1.0), "future": (2.0, 9.0)}.get(damage, (-1.0, 30.0))
    cert_path, key_path = make(tmp_path, days, b"secret" if damage == "locked key" else None)
    match damage:
        case "no cert":
            cert_path.unlink()
        case "no key":
            key_path.unlink()
        case "not pem":
            cert_path.write_bytes(b"hello")
        case "broken pem":
            cert_path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        case "key is no key":
            key_path.write_bytes(b"hello")
        case "other key":
            key_path.write_bytes(make(tmp_path / "other")[1].read_bytes())
    with pytest.raises(CertificateError, match=sentence) as caught:
        Certificate(cert_path, key_path)
    assert "\n" not in str(caught.value)


def test_a_chain_is_sent_whole(tmp_path: Path) -> None:
    cert_path, key_path = make(tmp_path)
    between, _ = make(tmp_path / "between")
    cert_path.write_bytes(cert_path.read_bytes() + b"\nsome text\n" + between.read_bytes())
    assert len(chain_subjects(Certificate(cert_path, key_path, RELAY_KEY).context)) == 3


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl s_client")
def test_renegotiation_is_refused(tmp_path: Path) -> None:
    context = Certificate(*make(tmp_path)).context
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                while tls.recv(100):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2"],
            input=b"R\n",
            capture_output=True,
            timeout=10,
        )
        thread.join(5)
    assert b"no renegotiation" in done.stderr.lower()
