"""A DNS-over-HTTPS service that gives one address for every name:

python dohserver.py ADDRESS ANSWER CERTIFICATE KEY
"""

from __future__ import annotations

import http.server
import ssl
import sys
from ipaddress import IPv4Address

from tests.world.nameserver import answer


class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        query = self.rfile.read(int(self.headers["Content-Length"]))
        body = answer(query, IPv4Address(sys.argv[2]))
        print("asked", self.path, flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "application/dns-message")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    server = http.server.ThreadingHTTPServer((sys.argv[1], 443), Service)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
