from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshbox import config as configuration
from meshbox.config import Config, named
from meshbox.store import gather
from meshbox.store.gather import Found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in {
        "etc/config.yaml": "",
        "etc/conf.d/10-more.yaml": "",
        "etc/conf.d/README": "",
        "tls/cert.pem": "certificate",
        "tls/key.pem": "key",
        "state/noise_private.key": "noise",
        "state/db.sqlite": "database",
        "state/db.sqlite-wal": "log",
        "state/db.sqlite.replaced-1": "old",
        "state/acme/account.key": "account",
        "state/acme/certificate.pem": "certificate",
        "state/acme/certificate.pem.new": "half",
        "state/backups/meshbox-20260101T000000Z.tar.zst": "older",
        "state/backup-status.json": "{}",
        "state/future/secret": "not known by name",
        "etc/relays.yaml": "regions: {}",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def read(home: Path, **more: object) -> tuple[Config, Path]:
    values = {
        "server_url": "https://mesh.example",
        "state_dir": str(home / "state"),
        "unix_socket": str(home / "state/api.sock"),
        "tls_cert_path": "../tls/cert.pem",
        "tls_key_path": "../tls/key.pem",
        "derp": {"paths": ["relays.yaml", "gone.yaml"]},
    }
    file = home / "etc/config.yaml"
    file.write_text(yaml.safe_dump(values | more))
    return configuration.load(file, {}), file


def test_everything_that_must_survive_once_and_nothing_else(home: Path) -> None:
    config, file = read(home)
    found, left_out = gather.gather(config, [file, file.parent / "conf.d/10-more.yaml"])
    names = {str(one.path.resolve().relative_to(home)): one.role for one in found}
    assert names == {
        "state/noise_private.key": "key",
        "etc/config.yaml": "config",
        "etc/conf.d/10-more.yaml": "config",
        "tls/cert.pem": "named",
        "tls/key.pem": "named",
        "etc/relays.yaml": "named",
        "state/acme/account.key": "state",
        "state/acme/certificate.pem": "state",
        "state/future/secret": "state",
    }
    assert len(found) == len(names) and not left_out


def test_credentials_and_what_nobody_lets_us_see_stay_where_they_are(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"client_secret_path": "${CREDENTIALS_DIRECTORY}/oidc"}
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(home / "credentials"))
    monkeypatch.setattr(named, "CREDENTIALS", home / "credentials")
    (home / "credentials").mkdir()
    (home / "credentials/oidc").write_text("hush")
    config, file = read(home, oidc=secret, policy={"path": "/closed/policy.hujson"})
    is_file = Path.is_file

    def closed(path: Path) -> bool:
        if str(path).startswith("/closed/"):
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", closed)
    found, _ = gather.gather(config, [file])
    assert {one.path.name for one in found} & {"oidc", "policy.hujson"} == set()
    assert "cert.pem" in {one.path.name for one in found}


def test_what_is_too_large_is_left_out_and_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "FILE_LIMIT", 10)
    config, _ = read(home)
    found, left_out = gather.gather(config, [])
    assert [Path(one.path).name for one in left_out] == [
        "cert.pem",
        "relays.yaml",
        "certificate.pem",
        "secret",
    ]
    assert all(one.why.startswith("too large") for one in left_out)
    assert Found(home / "state/noise_private.key", "key") in found


def test_backups_elsewhere_and_a_state_dir_that_is_not_there(home: Path) -> None:
    config, _ = read(home, state_dir=str(home / "nowhere"))
    found, _ = gather.gather(config, [])
    assert {one.role for one in found} == {"named"}


def test_of_the_directory_in_etc_everything_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "ALL_BELOW", home / "etc")
    config, _ = read(home)
    found, _ = gather.gather(config, [home / "etc/conf.d/10-more.yaml"])
    names = {str(one.path.relative_to(home)) for one in found if one.role == "config"}
    assert names == {"etc/config.yaml", "etc/conf.d/10-more.yaml", "etc/conf.d/README", "etc/relays.yaml"}
