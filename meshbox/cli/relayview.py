"""Asking a relay on this machine over its local socket, and what its tables show."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meshbox.cli.connection import SocketConnection
from meshbox.cli.output import Column, Json, Kind
from meshbox.errors import Unreachable

TIMEOUT = 10.0
UNITS = ("B", "kB", "MB", "GB", "TB")


def ask(socket: Path, path: str) -> Any:
    """What the relay answers, decoded. Raises Unreachable."""
    connection = SocketConnection(socket, TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except OSError as error:
        raise Unreachable(
            f"no relay answers on {socket}: {error.strerror or error}. Start it (meshbox derp), or name its "
            "socket with `meshbox derp --socket FILE ...`"
        ) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise Unreachable(f"what answers on {socket} is no relay of meshbox")
    return json.loads(body)


def busiest(before: list[Json], after: list[Json], seconds: float) -> list[Json]:
    """The clients of `after` with bytes per second since `before`, the busiest first."""
    known = {(client["nodeKey"], client["address"]): client for client in before}
    result = []
    for client in after:
        old = known.get((client["nodeKey"], client["address"]), {})
        rates = {
            rate: max(0.0, (client[total] - old.get(total, 0)) / seconds)
            for rate, total in (("sendsPerSecond", "bytesReceived"), ("readsPerSecond", "bytesSent"))
        }
        result.append({**client, **rates})
    return sorted(result, key=lambda client: -(client["sendsPerSecond"] + client["readsPerSecond"]))


def amount(size: float) -> str:
    """`1.2 MB`"""
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""


def _time(seconds: float | None) -> str | None:
    return None if not seconds else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _mesh(relay: Json) -> list[str]:
    return [f"{host} {'up' if is_up else 'away'}" for host, is_up in relay["mesh"].items()]


RELAY_STATUS = Kind(
    (
        Column("VERSION", lambda relay: relay["version"]),
        Column("STARTED", lambda relay: _time(relay["startedAt"]), is_time=True),
        Column("KEY", lambda relay: relay["key"]),
        Column("PIN", lambda relay: relay["pin"]),
        Column("ADMITS", lambda relay: relay["admission"]),
        Column("ADMITTED NODES", lambda relay: relay["admitted"]),
        Column("TOLD BY CONTROL", lambda relay: _time(relay["pushedAt"]), is_time=True),
        Column("CLIENTS", lambda relay: relay["clients"]),
        Column("AT HOME HERE", lambda relay: relay["homes"]),
        Column("ELSEWHERE IN REGION", lambda relay: relay["remoteClients"]),
        Column(
            "MESH", lambda relay: [f"{host} {'up' if up else 'away'}" for host, up in relay["mesh"].items()]
        ),
        Column("PACKETS", lambda relay: f"{relay['packetsReceived']} in, {relay['packetsSent']} out"),
        Column(
            "DATA", lambda relay: f"{amount(relay['bytesReceived'])} in, {amount(relay['bytesSent'])} out"
        ),
        Column("DROPPED", lambda relay: relay["packetsDropped"]),
        Column("QUEUE", lambda relay: f"{relay['queueMilliseconds']} ms"),
        Column("REFUSED", lambda relay: relay["refused"]),
    ),
    name=lambda relay: str(relay["key"]),
)

TALKERS = Kind(
    (
        Column("NODE KEY", lambda client: client["nodeKey"]),
        Column("ADDRESS", lambda client: client["address"]),
        Column("SENDS/S", lambda client: amount(client["sendsPerSecond"])),
        Column("READS/S", lambda client: amount(client["readsPerSecond"])),
        Column("QUEUED", lambda client: client["queuedPackets"]),
        Column("SENT", lambda client: amount(client["bytesReceived"])),
        Column("READ", lambda client: amount(client["bytesSent"])),
        Column("CONNECTED", lambda client: f"{client['connectedSeconds']:.0f} s", is_wide=True),
        Column("HOME", lambda client: client["isHome"], is_wide=True),
    ),
    name=lambda client: str(client["nodeKey"]),
)
