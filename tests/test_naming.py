"""What the configuration may say of the devices' public domain."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox import config as configuration
from meshbox.errors import ConfigError

SERVER = "https://vpn.example.net"


def written(directory: Path, base: str, certificates: str = "", server: str = SERVER, more: str = "") -> Path:
    path = directory / "config.yaml"
    path.write_text(
        f"server_url: {server}\nacme: {{enabled: true}}\nstate_dir: {directory}\n"
        f"dns: {{base_domain: {base}, {more}certificates: {{enabled: true{certificates}}}}}\n"
    )
    return path


def test_a_public_domain_beside_the_server_will_do(tmp_path: Path) -> None:
    config = configuration.load(written(tmp_path, "mesh.example.net"), {})
    assert config.dns.certificates.enabled and config.dns.certificates.listen_addr.port == 53


@pytest.mark.parametrize(
    ("base", "certificates", "server", "key", "said"),
    [
        ("meshbox.internal", "", SERVER, "enabled", "public domain of yours"),
        ("mesh.local", "", SERVER, "enabled", "mesh.local is none"),
        ("tail1234.ts.net", "", SERVER, "enabled", "public domain of yours"),
        ("mesh", "", SERVER, "enabled", "public domain of yours"),
        ("mesh.example.net", "", "https://203.0.113.5", "name_server", "an NS record needs one"),
        ("mesh.example.net", "", "https://[2001:db8::1]", "name_server", "an NS record needs one"),
        ("mesh.example.net", ", name_server: ns.mesh.example.net", SERVER, "name_server", "a name elsewhere"),
        ("mesh.example.net", ", name_server: mesh.example.net", SERVER, "name_server", "a name elsewhere"),
        ("mesh.example.net", ", listen_addr: ':80'", SERVER, "listen_addr", "own port"),
    ],
)
def test_what_no_authority_could_look_up_is_refused(
    tmp_path: Path, base: str, certificates: str, server: str, key: str, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        configuration.load(written(tmp_path, base, certificates, server), {})
    found = {problem.path: problem.text for problem in refused.value.problems}
    assert said in found.get(f"dns.certificates.{key}", ""), found


def test_without_names_there_is_nothing_to_prove(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"switch that on"):
        configuration.load(written(tmp_path, "mesh.example.net", more="magic_dns: false, "), {})
