"""Talking to a server: HTTP over its unix socket, or to another machine with an API key.

Everything the command line does goes through the API; there is no second way into the database. A
refusal comes back as the error class whose exit code says what kind it was.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from meshbox.cli.options import Options
from meshbox.errors import (
    Conflict,
    Exhausted,
    Invalid,
    NotFound,
    OperatorError,
    Refused,
    StoreFull,
    Unreachable,
)

if TYPE_CHECKING:
    from http.client import HTTPConnection

Json = dict[str, Any]

PREFIX = "/api/v1/"
TIMEOUT = 30.0
ADDRESS_VARIABLE = "MESHBOX_CLI_ADDRESS"
KEY_VARIABLE = "MESHBOX_CLI_API_KEY"
SOCKET_VARIABLE = "MESHBOX_UNIX_SOCKET"
DEFAULT_SOCKET = Path("/run/meshbox/api.sock")

KINDS: Mapping[int, type[OperatorError]] = {
    400: Invalid,
    401: Refused,
    403: Refused,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: Invalid,
    422: Invalid,
    429: Refused,
    502: Unreachable,
    503: Unreachable,
    504: Unreachable,
}


class Api:
    """One server. `where` names it in messages."""

    def __init__(self, connection: HTTPConnection, where: str, key: str = "") -> None:
        self._connection = connection
        self._where = where
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get(self, *path: str, **query: str) -> Json:
        return self.call("GET", *path, query=query)

    def post(self, *path: str, body: Json | None = None) -> Json:
        return self.call("POST", *path, body=body)

    def put(self, *path: str, body: Json) -> Json:
        return self.call("PUT", *path, body=body)

    def delete(self, *path: str, **query: str) -> Json:
        return self.call("DELETE", *path, query=query)

    def call(
        self, method: str, *path: str, query: Mapping[str, str] | None = None, body: Json | None = None
    ) -> Json:
        """Each part of the path is one segment, whatever characters it has. Raises OperatorError."""
        if not all(path):
            raise Invalid("an empty name names nothing")
        target = PREFIX + "/".join(quote(part, safe="") for part in path)
        given = {name: value for name, value in (query or {}).items() if value}
        if given:
            target += "?" + urlencode(given)
        status, answer = self._exchange(method, target, b"" if body is None else json.dumps(body).encode())
        if status == 200:
            return answer
        message = str(answer.get("message") or f"the server answered {status}")
        if status == 507:
            # Both of them lack room; only the server knows which.
            raise (Exhausted if answer.get("kind") == Exhausted.__name__ else StoreFull)(message)
        raise KINDS.get(status, OperatorError)(message)

    def _exchange(self, method: str, target: str, body: bytes) -> tuple[int, Json]:
        from http.client import HTTPException

        try:
            self._connection.request(method, target, body or None, self._headers)
            response = self._connection.getresponse()
            raw = response.read()
        except TimeoutError:
            timeout = self._connection.timeout
            raise Unreachable(f"{self._where} did not answer within {timeout:.0f} seconds") from None
        except PermissionError:
            raise Refused(
                f"you may not open {self._where}: become root, or a member of the group that owns it"
            ) from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise Unreachable(
                f"no server answers at {self._where}: start it (systemctl start meshbox, or meshbox serve), "
                "or name its configuration with -c"
            ) from None
        except (OSError, HTTPException) as error:
            raise Unreachable(f"{self._where} cannot be reached: {error or type(error).__name__}") from None
        finally:
            self._connection.close()
        return response.status, self._decoded(raw)

    def _decoded(self, raw: bytes) -> Json:
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(f"{self._where} does not answer like meshbox: is it another server?")
        return answer


def connect(options: Options, timeout: float = TIMEOUT) -> Api:
    """The server that the options, the environment and the configuration name, in this order."""
    address = options.server or os.environ.get(ADDRESS_VARIABLE, "")
    if address:
        return _remote(address, _read_key(options), timeout)
    return local(socket_path(options), timeout)


def local(path: Path, timeout: float = TIMEOUT) -> Api:
    """The server behind a unix socket."""
    # With ssl, which it imports, HTTP takes longer to import than everything else: not for `--help`.
    from meshbox.cli.connection import SocketConnection

    return Api(SocketConnection(path, timeout), str(path))


def socket_path(options: Options) -> Path:
    """From the environment, else the files' `unix_socket`, else the default. Only that key is read: an
    unrelated mistake in a file must not keep an administrator from the running server."""
    named = os.environ.get(SOCKET_VARIABLE)
    if named:
        return Path(named)
    from meshbox.config.document import read_document
    from meshbox.config.reading import find_files
    from meshbox.errors import ConfigError

    is_named = bool(options.config or os.environ.get("MESHBOX_CONFIG"))
    chosen = DEFAULT_SOCKET
    for file in find_files(options.config, os.environ):
        if not is_named and not os.access(file, os.R_OK):
            continue
        document = read_document(file)
        if not document.values and document.problems:
            raise ConfigError(str(file), list(document.problems))
        found = document.values.get("unix_socket")
        if isinstance(found, str) and found:
            chosen = file.absolute().parent / found
    return chosen


def _remote(address: str, key: str, timeout: float) -> Api:
    parts = urlsplit(address if "://" in address else f"https://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host:
        raise Invalid(f"{address!r} is not the address of a server; write it like https://mesh.example.com")
    if not key:
        raise Invalid(
            f"administering {address} needs an API key: put one in a file for --token-file, or in "
            f"{KEY_VARIABLE}; `meshbox apikeys create` on the server makes one"
        )
    from http.client import HTTPConnection, HTTPSConnection

    plain = parts.scheme == "http"
    if plain and host not in ("localhost", "127.0.0.1", "::1"):
        print(f"warning: the API key travels to {host} unencrypted; use https", file=sys.stderr)
    kind = HTTPConnection if plain else HTTPSConnection
    return Api(kind(host, port, timeout=timeout), address, key)


def _read_key(options: Options) -> str:
    if options.token_file == "-":
        return sys.stdin.readline().strip()
    if not options.token_file:
        return os.environ.get(KEY_VARIABLE, "").strip()
    try:
        text = Path(options.token_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{options.token_file}: the API key cannot be read: {error}") from None
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Invalid(f"{options.token_file} holds more than one API key, or none")
    return text
