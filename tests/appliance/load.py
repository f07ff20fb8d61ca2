"""`python load.py URL SECONDS [CA]`: ask without pause from several threads, each time on a new connection.

Prints JSON: how many were answered, what failed and how often, the longest wait in seconds.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

THREADS = 4
PATIENCE = 20.0


def ask(host: str, port: int, path: str, tls: ssl.SSLContext | None) -> None:
    with socket.create_connection((host, port), PATIENCE) as plain:
        sock = tls.wrap_socket(plain, server_hostname=host) if tls else plain
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = sock.recv(64)
    if b" 200 " not in answer:
        raise OSError(f"answered {answer[:20]!r}")


def main(url: str, seconds: float, authority: str = "") -> None:
    parts = urlsplit(url)
    tls = ssl.create_default_context(cafile=authority or None) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    end = time.monotonic() + seconds
    answered, failures, longest = [0] * THREADS, dict[str, int](), [0.0] * THREADS

    def work(number: int) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                ask(str(parts.hostname), port, parts.path or "/", tls)
                answered[number] += 1
            except OSError as error:
                name = f"{type(error).__name__}: {error}"
                failures[name] = failures.get(name, 0) + 1
            longest[number] = max(longest[number], time.monotonic() - began)
            time.sleep(0.005)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"answered": sum(answered), "failures": failures, "longest": round(max(longest), 3)}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
