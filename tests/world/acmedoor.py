"""pebble as Let's Encrypt's clients know theirs: the answer to "finalize" says where the order is.

    python acmedoor.py PORT PEBBLE_URL CERTIFICATE KEY TRUST

RFC 8555 does not ask for that (7.4), so pebble does not, but golang.org/x/crypto/acme knows no other address
at which to wait for the order.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import aiohttp
from aiohttp import web

FINALIZE, ORDER = "/finalize-order/", "/my-order/"
PASSED_ON = ("Content-Type", "Location", "Replay-Nonce", "Link", "Retry-After")


async def serve(port: int, behind: str, certificate: str, key: str, trust: str) -> None:
    knows = ssl.create_default_context(cafile=trust)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=knows)) as pebble:

        async def pass_on(request: web.Request) -> web.Response:
            # pebble compares the address in what was signed with the host that was asked.
            headers = {"Host": request.host}
            if request.content_type != "application/octet-stream":
                headers["Content-Type"] = request.content_type
            body = await request.read()
            async with pebble.request(
                request.method, behind + request.path, data=body, headers=headers
            ) as said:
                kept = {name: said.headers[name] for name in PASSED_ON if name in said.headers}
                if FINALIZE in request.path:
                    kept.setdefault("Location", str(request.url).replace(FINALIZE, ORDER))
                return web.Response(status=said.status, body=await said.read(), headers=kept)

        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", pass_on)
        runner = web.AppRunner(app)
        await runner.setup()
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.load_cert_chain(certificate, key)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=shown).start()
        print("up", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:6]))
