from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshbox.config import load
from meshbox.secrets import load_or_create_key
from meshbox.serve.relayroom import relay_identity
from meshbox.wire.noise import public_of
from tests.serve.test_certificates import chain_subjects, make

PRIVATE = bytes(range(1, 33))

pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length must be")


def test_a_certificate_tells_the_public_key_and_never_the_private_one(tmp_path: Path) -> None:
    """A certificate with the private key in it would hand the relay to everybody who connects."""
    cert_path, key_path = make(tmp_path)
    settings = {
        "server_url": "https://relay.test",
        "state_dir": str(tmp_path),
        "derp": {
            "server": {
                "enabled": True,
                "listen_addr": "127.0.0.1:0",
                "private_key_path": str(tmp_path / "derp.key"),
                "cert_path": str(cert_path),
                "key_path": str(key_path),
            }
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    load_or_create_key(tmp_path / "derp.key", lambda count: PRIVATE[:count])
    identity = relay_identity(load(tmp_path / "config.yaml", {}))
    assert identity is not None
    assert identity.certificate is not None
    assert identity.private_key == PRIVATE
    assert identity.public_key == public_of(PRIVATE)
    subjects = chain_subjects(identity.certificate.context)
    assert subjects == ["CN=relay.test", f"CN=derpkey{public_of(PRIVATE).hex()}"]
