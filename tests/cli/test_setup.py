"""What `meshbox setup` writes; that it starts a real machine is seen in tests/appliance."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.cli import setup, units
from meshbox.cli.main import main
from meshbox.cli.options import Options
from meshbox.cli.setupfile import FILE, Answers, present, put, relay_text_of, text_of, write
from meshbox.config.reading import load_as
from meshbox.config.relay import RELAY
from meshbox.errors import ConfigError, Invalid


@pytest.fixture
def drop_ins(tmp_path: Path) -> Path:
    directory = tmp_path / "meshbox" / "conf.d"
    directory.mkdir(parents=True)
    return directory


def test_a_domain_with_a_certificate_of_an_authority(drop_ins: Path) -> None:
    config = write(drop_ins, text_of(Answers("mesh.example.com", "acme", "you@example.com")))
    assert config.server_url == "https://mesh.example.com" and config.acme.enabled
    assert (config.listen_addr, config.http.listen_addr) == (":443", ":80")
    assert config.acme.email == "you@example.com" and not config.derp.server.separate


@pytest.mark.parametrize(
    ("address", "url"), [("10.0.0.2", "http://10.0.0.2"), ("fd00::2", "http://[fd00::2]")]
)
def test_a_bare_address_has_the_relay_on_443(drop_ins: Path, address: str, url: str) -> None:
    config = write(drop_ins, text_of(Answers(address, "none")))
    server = config.derp.server
    assert config.server_url == url and config.listen_addr == ":80" and server.listen_addr == ":443"
    assert str(server.ipv4 or server.ipv6) == address


def test_a_relay_of_its_own_shares_the_port(drop_ins: Path) -> None:
    answers = Answers("mesh.example.com", "acme", relay_addresses=("192.0.2.7", "2001:db8::7"))
    config = write(drop_ins, text_of(answers))
    server = config.derp.server
    assert server.separate and server.host_name == "derp.mesh.example.com"
    assert (str(server.ipv4), str(server.ipv6)) == ("192.0.2.7", "2001:db8::7")
    assert [str(path) for path in config.derp.push] == ["/run/meshbox-derp/derp.sock"]
    file = drop_ins / "relay.yaml"
    file.write_text(relay_text_of(answers))
    assert load_as(RELAY, file, {}).hostnames == ("derp.mesh.example.com", "192.0.2.7", "2001:db8::7")


def test_the_name_of_the_relay_of_a_bare_address_is_nobodys() -> None:
    answers = Answers("192.0.2.7", "acme", relay_addresses=("192.0.2.7",))
    assert answers.relay_name == "derp.meshbox.invalid"


def test_what_others_wrote_is_looked_at_before_anything_is_written(drop_ins: Path) -> None:
    (drop_ins / "50-local.yaml").write_text("dns: {base_domain: mesh.example.com}\n")
    with pytest.raises(ConfigError, match=r"inside dns\.base_domain"):
        write(drop_ins, text_of(Answers("mesh.example.com", "acme")))
    assert not (drop_ins / FILE).exists()


def test_a_file_comes_and_goes_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.yaml"
    assert present(file) is None
    put(file, "a: 1\n")
    assert present(file) == "a: 1\n" and [one.name for one in file.parent.iterdir()] == ["file.yaml"]
    put(file, None)
    assert present(file) is None
    with pytest.raises(Invalid, match="cannot be read"):
        present(tmp_path)


def test_without_the_services_it_says_what_else_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(units, "BOOTED", Path("/nowhere"))
    assert main(["setup", "--domain", "mesh.example.com", "--tls", "acme"]) == 4
    assert "meshbox serve" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "is_named"),
    [("", True), ("console: {enabled: false}\n", False)],
)
def test_the_end_says_where_the_console_is(
    drop_ins: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: str,
    is_named: bool,
) -> None:
    config = write(drop_ins, text_of(Answers("mesh.example.com", "acme", "you@example.com")) + more)
    monkeypatch.setattr(setup, "first_key", lambda connection: ("admin", "mb-auth-x"))
    setup._welcome(Options(), config)
    said = capsys.readouterr().out
    assert "--auth-key mb-auth-x" in said
    assert ("https://mesh.example.com/console" in said) is is_named


def test_over_plain_http_there_is_no_console_to_speak_of(
    drop_ins: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(drop_ins, text_of(Answers("10.0.0.2", "none")))
    monkeypatch.setattr(setup, "first_key", lambda connection: ("admin", "mb-auth-x"))
    setup._welcome(Options(), config)
    assert "console" not in capsys.readouterr().out
