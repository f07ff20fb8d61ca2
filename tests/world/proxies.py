"""Reverse proxies as docs/proxy.md has them: its configurations, with the laboratory's names and paths."""

from __future__ import annotations

from pathlib import Path

from tests.world.authority import Issued
from tests.world.lab import CONTROL_NAME
from tests.world.network import Host
from tests.world.process import Daemon, unpacked

PAGE = Path(__file__).parents[2] / "docs" / "proxy.md"
DOMAIN = "mesh.example.com"
RELAY_NAME, RELAY_PORT = "derp.example.net", 8444

NGINX_AROUND = """
daemon off; user root; worker_processes 1; error_log stderr; pid {place}/nginx.pid;
events {{ }}
http {{ access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
{text} }}
"""
CADDY_AROUND = "{{\n admin off\n auto_https disable_redirects\n}}\n{text}"


def block_of(heading: str) -> str:
    """The first indented block below a heading of the page."""
    lines = iter(PAGE.read_text().splitlines())
    next(line for line in lines if line.strip("# ") == heading)
    block: list[str] = []
    for line in lines:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
        elif block:
            break
    return "\n".join(block).strip() + "\n"


def settings_of(heading: str) -> str:
    """A configuration of ours, with the laboratory's names."""
    return block_of(heading).replace(DOMAIN, CONTROL_NAME).replace("derp.example.com", RELAY_NAME)


class Proxy:
    """nginx or Caddy on the host of the server, for control and for a relay alone."""

    def __init__(self, kind: str, host: Host, place: Path, control: Issued, relay: Issued) -> None:
        self.daemon = Daemon(kind, place / f"{kind}.log")
        self._host = host
        block = block_of(kind)
        both = _named(block, CONTROL_NAME, control)
        # The second is like the first, as the page says; a `map` of nginx stands once.
        second = block[block.index("server {") :] if kind == "nginx" else block
        both += _named(second, RELAY_NAME, relay).replace("127.0.0.1:8080", f"127.0.0.1:{RELAY_PORT}")
        around = NGINX_AROUND if kind == "nginx" else CADDY_AROUND
        file = place / f"{kind}.conf"
        file.write_text(around.format(place=place, text=both))
        self._argv = {
            "nginx": [unpacked("nginx", "usr/sbin/nginx"), "-p", str(place), "-e", "stderr", "-c", str(file)],
            "Caddy": [
                unpacked("caddy", "usr/bin/caddy"),
                "run",
                "--adapter",
                "caddyfile",
                "--config",
                str(file),
            ],
        }[kind]

    def start(self) -> None:
        self.daemon.start(self._host.inside(["env", f"HOME={self.daemon.log.parent}", *self._argv]))
        self.daemon.ready(self._listens, 15, "listens")

    def _listens(self) -> bool:
        return ":443 " in self._host.run("ss", "-ltn").out

    def close(self) -> None:
        self.daemon.stop()


def _named(block: str, name: str, issued: Issued) -> str:
    block = block.replace(f"/etc/ssl/{DOMAIN}.pem", str(issued.certificate))
    return block.replace(f"/etc/ssl/{DOMAIN}.key", str(issued.key)).replace(DOMAIN, name)
