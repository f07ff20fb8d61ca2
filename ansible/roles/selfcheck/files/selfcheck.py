"""`python selfcheck.py HOST [--ca=FILE] [--closed=PORT] [--relay=HOST]`: the server as clients will see it.

One line per look, `ok` or `FAILED` with the reason and the way out; ends with 1 when one failed. Standard
library only: it runs wherever ansible-playbook does.
"""

from __future__ import annotations

import argparse
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable

PATIENCE = 8.0
MAGIC_COOKIE = b"\x21\x12\xa4\x42"


def request(sock: socket.socket, host: str, head: str) -> str:
    sock.sendall(f"{head}\r\nHost: {host}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(4096)
        if not piece:
            break
        answer += piece
    return answer.decode("latin-1")


def status(answer: str, *wanted: str) -> str:
    found = answer.split(" ", 2)[1] if answer.startswith("HTTP/") else "no HTTP"
    if found not in wanted:
        raise OSError(f"answered {found} instead of {' or '.join(wanted)}")
    return found


class Look:
    """What is looked at; each method returns a few words or raises OSError."""

    def __init__(self, host: str, authority: str, relay: str) -> None:
        self.host = host
        self.relay = relay or host
        self.tls = ssl.create_default_context(cafile=authority or None)

    def _secure(self, name: str = "") -> ssl.SSLSocket:
        plain = socket.create_connection((self.host, 443), PATIENCE)
        return self.tls.wrap_socket(plain, server_hostname=name or self.host)

    def certificate(self) -> str:
        with self._secure() as sock:
            found = sock.getpeercert() or {}
        left = ssl.cert_time_to_seconds(str(found["notAfter"])) - time.time()
        if left < 86400:
            raise OSError(f"ends in {left / 3600:.0f} hours: see `meshbox status` on the server")
        return f"good for {left / 86400:.0f} days"

    def control(self) -> str:
        with self._secure() as sock:
            answer = request(sock, self.host, "GET /key?v=130 HTTP/1.1\r\nConnection: close")
        status(answer, "200")
        return "answers /key"

    def health(self) -> str:
        with self._secure() as sock:
            status(request(sock, self.host, "GET /health HTTP/1.1\r\nConnection: close"), "200")
        return "well"

    def tunnel(self) -> str:
        head = "POST /ts2021 HTTP/1.1\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade"
        with self._secure() as sock:
            # Without a handshake it is refused; that it is refused by us and not by a proxy is what counts.
            status(request(sock, self.host, head), "101", "400")
        return "upgrades pass"

    def plain(self) -> str:
        with socket.create_connection((self.host, 80), PATIENCE) as sock:
            status(request(sock, self.host, "GET /generate_204 HTTP/1.1\r\nConnection: close"), "204")
        return "captive portal check answers"

    def stun(self) -> str:
        transaction = os.urandom(12)
        # Clients say what they are, with a checksum; this is the shortest request that the server answers.
        software = b"\x80\x22\x00\x08tailnode"
        body = b"\x00\x01" + (len(software) + 8).to_bytes(2, "big") + MAGIC_COOKIE + transaction + software
        body += b"\x80\x28\x00\x04" + (_crc(body) ^ 0x5354554E).to_bytes(4, "big")
        family, kind, proto, _, address = socket.getaddrinfo(self.relay, 3478, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, proto) as sock:
            sock.settimeout(2)
            for _ in range(3):
                sock.sendto(body, address)
                try:
                    if sock.recv(1500)[8:20] == transaction:
                        return "answers"
                except TimeoutError:
                    continue
        raise OSError("no answer on UDP port 3478: open it in the provider's firewall too")

    def closed(self, port: int) -> str:
        try:
            socket.create_connection((self.host, port), 3).close()
        except OSError:
            return "closed"
        raise OSError(f"port {port} is open to everybody")


def _crc(data: bytes) -> int:
    import zlib

    return zlib.crc32(data)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("--ca", default="")
    parser.add_argument("--closed", type=int, default=0)
    parser.add_argument("--relay", default="", help="where the relay is, when it has a host of its own")
    given = parser.parse_args()
    look = Look(given.host, given.ca, given.relay)
    looks: dict[str, Callable[[], str]] = {
        "certificate": look.certificate,
        "control": look.control,
        "health": look.health,
        "upgrade": look.tunnel,
        "port 80": look.plain,
        "STUN": look.stun,
    }
    if given.closed:
        looks[f"port {given.closed}"] = lambda: look.closed(given.closed)
    failed = 0
    for name, do in looks.items():
        try:
            print(f"ok      {name}: {do()}")
        except OSError as error:
            failed += 1
            print(f"FAILED  {name}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
