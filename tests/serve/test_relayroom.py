from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from meshbox.config import load
from meshbox.secrets import load_or_create_key
from meshbox.serve.relayroom import relay_identity
from meshbox.wire.noise import public_of
from tests.fake.derp import DerpClient, Way
from tests.fake.server import serving, write_config
from tests.serve.test_certificates import chain_subjects, make
from tests.serve.tlsends import client_context

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


async def test_the_relay_inside_the_server_is_counted_in_derpers_names(tmp_path: Path) -> None:
    relay = {"enabled": True, "listen_addr": "127.0.0.1:0", "stun_listen_addr": "127.0.0.1:0"}
    async with serving(write_config(tmp_path, derp={"server": relay})) as server:
        joined = await server.joined("laptop")
        stranger = Way(server.app.ports["derp.server.listen_addr"], tls=client_context())
        with pytest.raises(EOFError):
            await DerpClient.connect(stranger)
        url = f"http://127.0.0.1:{server.app.ports['metrics_listen_addr']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
        assert joined is not None
        families = [family.name for family in text_string_to_metric_families(text)]
        assert len(families) == len(set(families))
        assert {"derp_packets_received", "derp_packets_dropped", "stun_requests"} <= set(families)
        assert "\nmeshbox_relay_refused_total 1\n" in text
        assert "\nmeshbox_relay_admitted 1\n" in text
        assert '\nderper_tls_request_version{version="TLSv1.3"} 1\n' in text
