"""The configuration: read whole, refused whole, and shown as it is in force."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshbox.config import Address, Config, ExtraRecord, load, read_records, sample, show
from meshbox.config.document import parse_document
from meshbox.config.durations import format_duration, parse_duration
from meshbox.config.keys import keys
from meshbox.config.reference import reference
from meshbox.errors import ConfigError

ROOT = Path(__file__).parents[1]

PACKAGED = """
# A file as somebody has it who comes from Headscale: its keys, its paths, our values.
server_url: http://192.0.2.10:8080
listen_addr: 127.0.0.1:8080
metrics_listen_addr: 127.0.0.1:9090
grpc_listen_addr: 127.0.0.1:50443
grpc_allow_insecure: false
trusted_proxies: []
noise:
  private_key_path: /var/lib/headscale/noise_private.key
prefixes:
  v4: 100.64.0.0/10
  v6: fd7a:115c:a1e0::/48
  allocation: sequential
derp:
  server:
    enabled: false
    region_id: 999
    region_code: "headscale"
    region_name: "Headscale Embedded DERP"
    verify_clients: true
    stun_listen_addr: "0.0.0.0:3478"
    private_key_path: /var/lib/headscale/derp_server_private.key
    automatically_add_embedded_derp_region: true
    ipv4: 198.51.100.1
    ipv6: 2001:db8::1
  urls:
    - https://controlplane.tailscale.com/derpmap/default
  paths: []
  auto_update_enabled: true
  update_frequency: 3h
disable_check_updates: false
node:
  expiry: 0
  ephemeral:
    inactivity_timeout: 30m
  routes:
    ha:
      probe_interval: 10s
      probe_timeout: 5s
preauth_keys:
  revoked_retention: 168h
database:
  type: sqlite
  debug: false
  gorm:
    prepare_stmt: true
    parameterized_queries: true
    skip_err_record_not_found: true
    slow_threshold: 1000
  sqlite:
    path: /var/lib/headscale/db.sqlite
    write_ahead_log: true
    wal_autocheckpoint: 1000
acme_url: https://acme-v02.api.letsencrypt.org/directory
acme_email: ""
tls_letsencrypt_hostname: ""
tls_letsencrypt_cache_dir: /var/lib/headscale/cache
tls_letsencrypt_challenge_type: HTTP-01
tls_letsencrypt_listen: ":http"
tls_cert_path: ""
tls_key_path: ""
log:
  level: info
  format: text
policy:
  mode: file
  path: ""
dns:
  magic_dns: true
  base_domain: example.com
  override_local_dns: true
  nameservers:
    global:
      - 1.1.1.1
      - 1.0.0.1
      - 2606:4700:4700::1111
    split:
      # all commented out
  search_domains: []
  extra_records: []
unix_socket: /var/run/headscale/headscale.sock
unix_socket_permission: "0770"
logtail:
  enabled: false
randomize_client_port: false
taildrop:
  enabled: true
tuning:
  notifier_send_timeout: 800ms
  batch_change_delay: 800ms
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def problems(file: Path, text: str, env: dict[str, str] | None = None) -> dict[str, str]:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, env or {})
    return {problem.path: problem.text for problem in caught.value.problems}


def good(file: Path, text: str, env: dict[str, str] | None = None) -> Config:
    file.write_text("server_url: https://mesh.example.org\n" + text)
    return load(file, env or {})


def bare(config: Config) -> Config:
    return dataclasses.replace(config, source="", origins={}, warnings=())


def test_a_headscale_file_starts_meshbox(file: Path) -> None:
    file.write_text(PACKAGED)
    config = load(file, {})
    assert config.noise.private_key_path == Path("/var/lib/headscale/noise_private.key")
    assert config.database.sqlite.path == Path("/var/lib/headscale/db.sqlite")
    assert config.unix_socket_permission == 0o770
    assert config.node.expiry == 0 and config.node.ephemeral.inactivity_timeout == 1800
    assert config.dns.nameservers.global_ == ("1.1.1.1", "1.0.0.1", "2606:4700:4700::1111")
    assert config.dns.override_local_dns and config.dns.nameservers.split == ()
    assert config.derp.server.ipv4 == ip_address("198.51.100.1")
    warned = {warning.path for warning in config.warnings}
    assert {
        "grpc_listen_addr",
        "tls_letsencrypt_cache_dir",
        "preauth_keys",
        "tuning",
    } <= warned
    # Switched off or empty: nothing is lost, nothing is said.
    assert (
        not {"acme_email", "tls_letsencrypt_hostname", "randomize_client_port", "grpc_allow_insecure"}
        & warned
    )


def test_defaults_are_ours(file: Path) -> None:
    config = good(file, "")
    assert config.unix_socket == Path("/run/meshbox/api.sock")
    assert config.state_dir == Path("/var/lib/meshbox")
    assert config.prefixes.v4 == ip_network("100.64.0.0/10")
    assert config.prefixes.v6 == ip_network("fd7a:115c:a1e0::/48")
    assert config.derp.urls == () and config.derp.server.listen_addr is None
    assert config.node.expiry == 0 and config.limits.connections_per_address == 64
    assert config.warnings == ()
    assert bare(config) == Config(server_url="https://mesh.example.org")


def test_all_problems_come_at_once_each_with_its_path(file: Path) -> None:
    found = problems(
        file,
        """
        server_url: mesh.example.com
        listen_addr: nowhere
        magic_dns: true
        prefixes: {v4: 100.64.0.5/10, v6: 10.0.0.0/8}
        node: {expiry: 3600}
        derp: {server: {enabled: maybe, region_id: "12x", stun_listen_addr: "::1:3478"}}
        dns: {base_domain: 5, nameservers: {global: [1.1.1.1, dns.example.com, 9]}}
        policy: {mode: memory}
        tls_cert_path: /etc/ssl/one.pem
        unix_socket_permission: 770
        trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]
        """,
    )
    assert set(found) == {
        "server_url", "listen_addr", "magic_dns", "prefixes.v4", "prefixes.v6", "node.expiry",
        "derp.server.enabled", "derp.server.region_id", "derp.server.stun_listen_addr", "dns.base_domain",
        "dns.nameservers.global", "policy.mode", "tls_key_path", "unix_socket_permission", "trusted_proxies",
    }  # fmt: skip
    assert "did you mean dns.magic_dns?" in found["magic_dns"]
    assert "did you mean 100.64.0.0/10?" in found["prefixes.v4"]
    assert "3600s" in found["node.expiry"] and "found the number 3600" in found["node.expiry"]
    assert "entry 2" in found["dns.nameservers.global"] and "entry 3" in found["dns.nameservers.global"]
    assert "[::]:8080" in found["derp.server.stun_listen_addr"]
    assert '"0770"' in found["unix_socket_permission"]
    assert "file" in found["policy.mode"] and "database" in found["policy.mode"]
    assert "0.0.0.0/0" in found["trusted_proxies"] and "entry 1" not in found["trusted_proxies"]


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("listen_adr: 0.0.0.0:80", "listen_adr", "did you mean listen_addr?"),
        ("sqlite_path: x", "sqlite_path", "no key"),
        ("zzz: 1", "zzz", "remove it"),
        ("dns: {nameserver: {global: []}}", "dns.nameserver", "did you mean dns.nameservers"),
        ("acl_policy_path: /x", "acl_policy_path", "use policy.path"),
        ("dns_config: {magic_dns: true}", "dns_config", "move its keys to dns"),
        ("randomize_client_port: true", "randomize_client_port", "randomizeClientPort"),
        ("oidc: {issuer: https://id.example.com}", "oidc.client_id", "our name at the provider"),
        ("oidc: {issuer: http://id.example.com, client_id: x}", "oidc.issuer", "wants an https URL"),
        ("oidc: {issuer: 'https://id.example.com?x=1', client_id: x}", "oidc.issuer", "wants an https URL"),
        ("oidc: {client_secret: hush}", "oidc.client_secret", "write it into a file"),
        ("oidc: {extra_params: {state: x}}", "oidc.extra_params", "sets itself"),
        ("oidc: {issuer: 'http://[::1]:1/', client_id: x, scope: [email]}", "oidc.scope", "without openid"),
        ("oidc: {allowed_domains: ['a@b']}", "oidc.allowed_domains", "behind the @"),
        ("oidc: {expiry: 30d}", "oidc.expiry", "use node.expiry"),
        ("dns: {use_username_in_magic_dns: true}", "dns.use_username_in_magic_dns", "removed"),
        ("acme: {enabled: true}\ntls_cert_path: a\ntls_key_path: b", "acme.enabled", "not both"),
        ("acme: {enabled: true}\nhttp: {listen_addr: ''}", "http.listen_addr", "set it to :80"),
        ("acme: {enabled: true, directory_url: 'http://ca.example'}", "acme.directory_url", "https://"),
        ("acme: {domains: ['*.example.com']}", "acme.domains", "domain name"),
        ("http: {webroot: /var/www}", "http.webroot", ":80"),
        ("acme: {eab_key_id: x}", "acme.eab_key_path", "give both"),
        ("backup: {offsite: {repository: x}}", "backup.offsite.password_path", "give both"),
        ("node: {routes: {ha: {probe_interval: 1s}}}", "node.routes.ha.probe_interval", "use 0"),
        ("node: {routes: {ha: {probe_interval: 4s}}}", "node.routes.ha.probe_timeout", "is 5 s; give"),
        ("backup: {recipients: [mb-backup-pub-00]}", "backup.recipients", "is no backup key"),
        ("database: {type: postgres}", "database.type", "wants sqlite"),
        ("dns: 5", "dns", "wants a section"),
        ("dns: {override_local_dns: true}", "dns.override_local_dns", "nameservers.global"),
        ("dns: {base_domain: ''}", "dns.base_domain", "magic_dns"),
        ("dns: {base_domain: example.org}", "server_url", "inside dns.base_domain"),
        ("dns: {base_domain: mesh.example.org}", "server_url", "inside dns.base_domain"),
        ("prefixes: {v4: '', v6: ''}", "prefixes", "neither v4 nor v6"),
        ("prefixes: {v4: 100.64.0.0/30}", "prefixes.v4", "no room"),
        ("prefixes: {v4: 127.0.0.0/8}", "prefixes.v4", "cannot be routed"),
        ("derp: {server: {key_path: k}}", "derp.server.cert_path", "both or none"),
        ("derp: {server: {automatically_add_embedded_derp_region: false}}", "derp.paths", "describe it"),
        (
            "noise: {private_key_path: k}\nderp: {server: {private_key_path: k}}",
            "derp.server.private_key_path",
            "own",
        ),
        ("listen_addr: ':80'\nmetrics_listen_addr: ':80'", "metrics_listen_addr", "own port"),
        (f"unix_socket: /{'x' * 120}", "unix_socket", "107"),
        ("listen_addr: 0.0.0.0:80\nlisten_addr: 0.0.0.0:81", "listen_addr", "twice, in lines 2 and 3"),
        ("log: {level: loud}", "log.level", "debug or info or warning or error"),
        ("derp: {server: {region_code: no}}", "derp.server.region_code", "quotes"),
        ("derp: {urls: 'https://a'}", "derp.urls", "wants a list"),
        ("dns: {extra_records: [{name: a.b, type: TXT, value: x}]}", "dns.extra_records", "A or AAAA"),
        ("dns: {extra_records: [{name: a.b, type: A, value: '::1'}]}", "dns.extra_records", "IPv4"),
        ("limits: {connections_per_address: 0}", "limits.connections_per_address", "from 1 to 100"),
        ("listen_addr: 999.0.0.1:80", "listen_addr", "IP address"),
        ("listen_addr: 0.0.0.0:70000", "listen_addr", "host:port"),
    ],
)  # fmt: skip
def test_each_fault_names_the_way_out(file: Path, text: str, path: str, says: str) -> None:
    found = problems(file, f"server_url: https://mesh.example.org\n{text}\n")
    assert list(found) == [path]
    assert says in found[path]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://a.example/path",
        "https://u@a.example",
        "https://a b",
        "http://a:99999",
    ],
)
def test_a_server_url_clients_could_not_use(file: Path, url: str) -> None:
    assert list(problems(file, f"server_url: '{url}'")) == ["server_url"]


def test_a_missing_server_url_is_the_one_thing_to_set(file: Path) -> None:
    assert list(problems(file, "")) == ["server_url"]


def test_a_file_that_is_no_configuration(tmp_path: Path) -> None:
    for name, content in (
        ("list", b"- a\n- b\n"),
        ("tabs", b"a:\n\t- b"),
        ("binary", bytes(range(256)) * 10),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=name):
            load(path, {})
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "absent", {})
    with pytest.raises(ConfigError, match="directory"):
        load(tmp_path, {})


def test_relative_paths_are_relative_to_the_file(file: Path) -> None:
    config = good(
        file, "state_dir: state\ntls_cert_path: tls/c.pem\ntls_key_path: /k.pem\nderp: {paths: [a.yaml]}\n"
    )
    here = file.parent
    assert config.state_dir == here / "state"
    assert config.tls_cert_path == here / "tls/c.pem" and config.tls_key_path == Path("/k.pem")
    assert config.derp.paths == (here / "a.yaml",)
    # What was not given follows the state directory.
    assert config.database.sqlite.path == here / "state/db.sqlite"
    assert config.noise.private_key_path == here / "state/noise_private.key"


def test_the_environment_overrides_the_file(file: Path) -> None:
    env = {
        "MESHBOX_DATABASE_SQLITE_PATH": "/srv/db",
        "MESHBOX_TRUSTED_PROXIES": "10.0.0.0/8 192.0.2.1",
        "MESHBOX_DNS_MAGIC_DNS": "false",
        "MESHBOX_DNS_NAMESERVERS_GLOBAL": "9.9.9.9",
        "MESHBOX_LIMITS_PENDING_PER_ADDRESS": "3",
        "MESHBOX_METRICS_LISTEN_ADDR": "",
        "PATH": "/bin",
    }
    config = good(file, "database: {sqlite: {path: /elsewhere}}\n", env)
    assert config.database.sqlite.path == Path("/srv/db")
    assert config.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("192.0.2.1/32"))
    assert config.dns.magic_dns is False and config.dns.nameservers.global_ == ("9.9.9.9",)
    assert config.limits.pending_per_address == 3 and config.metrics_listen_addr is None
    assert config.origins["database.sqlite.path"] == "environment, MESHBOX_DATABASE_SQLITE_PATH"
    assert config.origins["server_url"] == f"{file}, line 1"
    assert config.origins["listen_addr"] == "default"


def test_a_mistyped_variable_is_noticed(file: Path) -> None:
    config = good(
        file, "", {"MESHBOX_DNS_MAGICDNS": "false", "MESHBOX_CLI_ADDRESS": "https://x", "HOME": "/"}
    )
    assert [(warning.path, "MESHBOX_DNS_MAGIC_DNS" in warning.text) for warning in config.warnings] == [
        ("MESHBOX_DNS_MAGICDNS", True)
    ]
    assert "MESHBOX_DNS_NAMESERVERS_SPLIT" in problems(file, "", {"MESHBOX_DNS_NAMESERVERS_SPLIT": "a=b"})


def test_the_file_is_found_through_the_environment(file: Path) -> None:
    good(file, "")
    assert load(None, {"MESHBOX_CONFIG": str(file)}).source == str(file)


def test_one_prefix_alone_turns_the_other_family_off(file: Path) -> None:
    assert good(file, "prefixes: {v4: 100.64.0.0/16}").prefixes.v6 is None
    assert good(file, "prefixes: {v6: 'fd7a:115c:a1e0::/64'}").prefixes.v4 is None


def test_a_relay_that_no_client_could_reach_gets_a_warning(file: Path) -> None:
    file.write_text("server_url: http://192.0.2.7:8080\n")
    (warning,) = load(file, {}).warnings
    assert warning.path == "derp.server.enabled" and "derp.server.listen_addr" in warning.text
    file.write_text("server_url: http://192.0.2.7:8080\nderp: {server: {listen_addr: 0.0.0.0:8443}}\n")
    assert load(file, {}).warnings == ()


def test_a_prefix_clients_do_not_expect_gets_a_warning(file: Path) -> None:
    config = good(file, "prefixes: {v4: 10.9.0.0/16, v6: 'fd00::/64'}")
    assert [warning.path for warning in config.warnings] == ["prefixes.v4", "prefixes.v6"]


def test_values_with_structure(file: Path) -> None:
    config = good(
        file,
        """
dns:
  nameservers: {split: {Corp.Example: [10.0.0.53, "https://dns.example/q"]}}
  extra_records:
    - {name: Grafana.meshbox.internal, value: 100.64.0.3}
    - {name: v6.meshbox.internal, type: aaaa, value: "fd7a::3"}
node: {expiry: 180d}
""",
    )
    assert config.dns.nameservers.split == (("corp.example", ("10.0.0.53", "https://dns.example/q")),)
    assert config.dns.extra_records == (
        ExtraRecord("grafana.meshbox.internal", "A", "100.64.0.3"),
        ExtraRecord("v6.meshbox.internal", "AAAA", "fd7a::3"),
    )
    assert config.node.expiry == 180 * 86400


@pytest.mark.parametrize("written", ["$CREDENTIALS_DIRECTORY/x", "${CREDENTIALS_DIRECTORY}/x"])
def test_a_path_may_name_a_credential(file: Path, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(f"server_url: https://mesh.example.org\noidc: {{client_secret_path: '{written}'}}\n")
    assert load(file, {}).oidc.client_secret_path == Path("/run/credentials/meshbox.service/x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/other.service")
    assert load(file, {}).oidc.client_secret_path == Path("/run/credentials/other.service/x")
    file.write_text("server_url: https://mesh.example.org\noidc: {client_secret_path: '$HOME/x'}\n")
    assert load(file, {}).oidc.client_secret_path == file.parent / "$HOME/x"


def test_records_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_text('[{"name": "a.meshbox.internal", "type": "A", "value": "100.64.0.9"}]')
    assert read_records(path) == (ExtraRecord("a.meshbox.internal", "A", "100.64.0.9"),)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "records.json"),
        (b"{}", "wants a list"),
        (b'[{"name": "a"}, {"name": "b", "value": "100.64.0.9"}]', "entry 1 wants"),
        (b'[{"name": "a.b", "type": "MX", "value": "c"}]', "A or AAAA"),
        (b"[" * 100_000, "records.json"),
        (b"\xff", "records.json"),
        (b" " * (1 << 20) + b"[]", "larger than 1 MiB"),
    ],
)
def test_a_file_of_records_that_cannot_be_used(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "records.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        read_records(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_records(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "host", "port"), [("127.0.0.1:80", "127.0.0.1", 80), ("[::1]:443", "::1", 443), (":0", "", 0)]
)
def test_an_address_knows_its_parts(text: str, host: str, port: int) -> None:
    address = Address(text)
    assert (address.host, address.port, str(address)) == (host, port, text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("30d", 2592000),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("2w", 1209600),
        ("1y", 31536000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "1h 30m", "-1h", "1x", "1h30", "³h", "1hh"])
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError, match="wants a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_durations_survive_being_written(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


def test_what_is_shown_loads_to_the_same(file: Path, tmp_path: Path) -> None:
    file.write_text(PACKAGED + "state_dir: here\n")
    config = load(
        file, {"MESHBOX_DNS_BASE_DOMAIN": "true.internal", "MESHBOX_DERP_SERVER_REGION_NAME": "a: 'b' #c"}
    )
    shown = tmp_path / "shown.yaml"
    shown.write_text(show(config, config.origins))
    assert bare(load(shown, {})) == bare(config)
    assert re.search(r"base_domain: true.internal +# environment, MESHBOX_DNS_BASE_DOMAIN", shown.read_text())
    assert "#" not in show(good(file, ""))


def test_the_sample_changes_nothing_until_edited(file: Path) -> None:
    file.write_text(sample())
    assert bare(load(file, {})) == Config(server_url="https://mesh.example.com")


def test_the_sample_shows_every_key_and_its_lines_are_usable(file: Path) -> None:
    uncommented = re.sub(r"^(\s*)#(?=\S)(?! )", r"\1", sample(), flags=re.MULTILINE)
    parsed = yaml.safe_load(uncommented)
    for key in keys(Config):
        value = parsed
        for part in key.path.split("."):
            value = value[part]
    file.write_text(uncommented)
    assert bare(load(file, {})) == Config(server_url="https://mesh.example.com")


def test_the_page_is_written_from_the_schema() -> None:
    assert (ROOT / "docs/config.md").read_text() == reference(), "run: make docs"


RAW = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(RAW)
def test_no_value_of_any_key_escapes_as_another_error(raw: object) -> None:
    for key in keys(Config):
        try:
            value = key.kind.read(raw)
        except ValueError as fault:
            assert "\n" not in str(fault) and str(fault)
            continue
        assert key.kind.read(key.kind.write(value)) == value


WORDS = st.sampled_from(
    [key.path.rpartition(".")[2] for key in keys(Config)] + ["dns", "derp", "server", "oidc"]
)


SIMPLE = st.none() | st.booleans() | st.integers() | st.text(max_size=10)
FILES = st.recursive(SIMPLE, lambda inner: st.dictionaries(WORDS, inner, max_size=4), max_leaves=6)


@given(st.dictionaries(WORDS | st.text(max_size=5), FILES, max_size=5))
def test_no_file_ends_in_anything_but_its_problems(values: dict[str, object]) -> None:
    text = yaml.safe_dump(values).encode()
    assert not parse_document(text, Path("config.yaml")).problems
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(text)
        file.flush()
        try:
            load(Path(file.name), {})
        except ConfigError as error:
            assert len(str(error).split("\n")) == 1 + len(error.problems)


def test_yaml_that_refers_to_itself(file: Path) -> None:
    assert "trusted_proxies" in problems(file, "server_url: http://h\ntrusted_proxies: &a [*a]\n")
    assert problems(file, "server_url: http://h\ndns: &d {magic_dns: *d}\n")


def test_a_yaml_merge_counts_as_the_file(file: Path) -> None:
    file.write_text(
        "server_url: http://h\nlog: &l {level: debug}\ntaildrop: {enabled: true}\nlogtail: {<<: {enabled: "
        "true}}\n"
    )
    config = load(file, {})
    assert config.logtail.enabled and config.origins["logtail.enabled"] == str(file)


def test_headscale_s_certificate_keys_are_ours_by_another_name(file: Path) -> None:
    file.write_text(
        "server_url: https://mesh.example.com\nacme_email: ana@example.com\n"
        "acme_url: https://ca.example/dir\ntls_letsencrypt_hostname: mesh.example.com\n"
        'tls_letsencrypt_listen: ":http"\n'
    )
    config = load(file, {})
    assert config.acme.enabled and config.acme.domains == ("mesh.example.com",)
    assert (config.acme.email, config.acme.directory_url) == ("ana@example.com", "https://ca.example/dir")
    assert config.http.listen_addr == ":80" and not config.warnings
    assert config.origins["acme.email"] == f"{file}, line 2, as acme_email"


def test_a_certificate_is_for_the_names_given_or_the_server_s_own(file: Path) -> None:
    file.write_text("server_url: https://[2001:db8::7]\nacme: {enabled: true}\n")
    config = load(file, {})
    assert config.http.listen_addr == ":80" and config.acme.domains == ()
    file.write_text("server_url: https://a.example\nacme: {domains: ['[2001:DB8::7]', A.example.]}\n")
    assert load(file, {}).acme.domains == ("2001:db8::7", "a.example")
    file.write_text("server_url: https://a.example\nacme: {enabled: true}\nhttp: {listen_addr: ':8080'}\n")
    assert "forward that port" in load(file, {}).warnings[0].text


def test_plain_http_neither_wants_a_certificate_nor_is_a_place_to_be_sent_to(file: Path) -> None:
    found = problems(
        file, "server_url: http://a.example\nacme: {enabled: true}\nhttp: {listen_addr: ':80'}\n"
    )
    assert list(found) == ["http.listen_addr", "server_url"]
    assert all("https://" in text for text in found.values())


@pytest.mark.parametrize(
    ("lines", "file", "warned"),
    [
        ("", None, False),
        ("policy: {path: acl.hujson}", "acl.hujson", False),
        ("policy: {mode: file, path: acl.hujson}", "acl.hujson", False),
        ("policy: {mode: database, path: acl.hujson}", None, True),
        ("policy: {mode: file}", None, True),
    ],
)
def test_the_policy_is_changed_in_its_file_or_in_the_database(
    tmp_path: Path, lines: str, file: str | None, warned: bool
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"server_url: http://127.0.0.1:1\n{lines}\n")
    config = load(path, {})
    assert config.policy.file == (tmp_path / file if file else None)
    assert any(problem.path == "policy.path" for problem in config.warnings) is warned


@pytest.mark.parametrize(
    ("resolver", "is_known"),
    [
        ("9.9.9.9", True),
        ("https://dns.quad9.net/dns-query", True),
        ("https://dns.nextdns.io/abc123", True),
        ("https://dns.example.com/dns-query", False),
    ],
)
def test_a_doh_url_that_no_client_asks_is_warned_of(tmp_path: Path, resolver: str, is_known: bool) -> None:
    file = tmp_path / "config.yaml"
    split = f"{{split: {{a.example: ['{resolver}']}}}}"
    file.write_text(f"server_url: https://mesh.example.com\ndns: {{nameservers: {split}}}\n")
    assert [warning.path for warning in load(file, {}).warnings] == (
        [] if is_known else ["dns.nameservers.split"]
    )


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("{name: '*.nas.mesh.test', type: CNAME, value: nas}", ""),
        ("{name: '*.nas.other.test', type: CNAME, value: nas}", "is below no node"),
        ("{name: '*.mesh.test', type: CNAME, value: nas}", "is a wildcard"),
        ("{name: '*.nas.mesh.test', type: A, value: 100.64.0.1}", "is a wildcard"),
    ],
)
def test_wildcards_lead_below_nodes_alone(tmp_path: Path, record: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"server_url: https://a.example\ndns: {{base_domain: mesh.test, extra_records: [{record}]}}\n"
    )
    if not said:
        assert load(file, {}).dns.extra_records[0].name == "*.nas.mesh.test"
        return
    with pytest.raises(ConfigError, match=said):
        load(file, {})


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("{for: ['ana'], nameservers: [1.1.1.1]}", "user:NAME, node:NAME or tag:NAME"),
        ("{for: [], nameservers: [1.1.1.1]}", "whom it is for"),
        ("{for: ['user:ana']}", "changes nothing"),
        ("{for: ['user:ana'], nameserver: [1.1.1.1]}", "knows no 'nameserver'"),
        ("{for: ['user:ana'], nameservers: [one]}", "entry 1"),
        ("7", "found the number 7"),
    ],
)
def test_overrides_say_whom_and_what(tmp_path: Path, override: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"server_url: https://a.example\ndns: {{overrides: [{override}]}}\n")
    with pytest.raises(ConfigError, match=said):
        load(file, {})
