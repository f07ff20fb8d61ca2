"""A sign-in provider that can be made to lie: its keys, its tokens, and a server that speaks for it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT_ID, SECRET = "meshbox", "s3cret & more"


class Signer:
    """A key with a name."""

    def __init__(self, kid: str = "one", algorithm: str = "RS256") -> None:
        self.kid, self.algorithm = kid, algorithm
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm.startswith("ES")
            else rsa.generate_private_key(65537, 2048)
        )

    def jwk(self, **more: object) -> dict[str, object]:
        """The public half, as it stands among the provider's keys."""
        made = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key.public_key())
        return {**json.loads(made), "kid": self.kid, "use": "sig", **more}

    def pem(self) -> bytes:
        return bytes(
            self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def sign(self, claims: dict[str, object], **header: object) -> str:
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers={"kid": self.kid, **header})


def part(value: object) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class FakeProvider:
    """Signs anybody in at once, as `claims` says. Change `claims`, `userinfo`, `describe` or `signer` to have
    it lie; `status` other than 200 breaks it."""

    def __init__(self, wall: Any) -> None:
        self.wall = wall
        self.signer = self.shown = Signer()
        self.claims: dict[str, object] = {"sub": "id1", "email": "ana@example.com", "email_verified": True}
        self.userinfo: dict[str, object] = {}
        self.describe: dict[str, object] = {}
        self.status = 200
        self.padding = 0
        self.asked: list[str] = []
        self.issuer = ""
        self.given: dict[str, tuple[str, str]] = {}
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._describe)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/me", self._me)
        app.router.add_post("/token", self._token)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.issuer = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def sign_in(self, url: str, **more: str) -> dict[str, str]:
        """What a browser brings back that was sent to `url`."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code {len(self.given)}"
        self.given[code] = (asked["nonce"], asked["code_challenge"])
        return {"state": asked["state"], "code": code, "iss": self.issuer, **more}

    def token(self, nonce: str) -> str:
        now = self.wall()
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "nonce": nonce, "iat": now, "exp": now + 300}
        return self.signer.sign({**claims, **self.claims})

    def _answer(self, request: web.Request, body: object) -> web.Response:
        self.asked.append(request.path)
        text = json.dumps(body) + " " * self.padding
        return web.Response(status=self.status, text=text, content_type="application/json")

    async def _describe(self, request: web.Request) -> web.Response:
        told = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=home",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/me",
        }
        return self._answer(request, {**told, **self.describe})

    async def _keys(self, request: web.Request) -> web.Response:
        return self._answer(request, {"keys": [self.shown.jwk()]})

    async def _me(self, request: web.Request) -> web.Response:
        if not self.userinfo:
            return web.Response(status=404)
        return self._answer(request, self.userinfo)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        hashed = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        pair = urlencode({CLIENT_ID: SECRET}).replace("=", ":").replace("+", "%20")
        proved = request.headers.get("Authorization") == "Basic " + base64.b64encode(pair.encode()).decode()
        nonce, challenge = self.given.pop(str(form["code"]), ("", ""))
        kept = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() == challenge
        if not (proved and kept):
            return web.json_response(
                {"error": "invalid_grant", "error_description": "no such code"}, status=400
            )
        return self._answer(request, {"id_token": self.token(nonce), "access_token": "bearer"})
