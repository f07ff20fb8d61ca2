"""What our relay says of itself, as far as clients must be told; kept for the next start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from meshbox import log
from meshbox.durable import write_whole
from meshbox.wire.derpmap import PIN
from meshbox.wire.gojson import Json

FILE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Introduction:
    """`pin` is `sha256-raw:<hex>` of a self-signed certificate, "" for a proper one. With `port80` clients
    can look for captive portals there (/generate_204)."""

    pin: str = ""
    port80: bool = False


def introduction_of(answer: Json) -> Introduction | None:
    """None when the answer has no pin that could be told."""
    pin = answer.get("pin")
    if not isinstance(pin, str) or (pin and not pin.startswith(PIN)):
        return None
    return Introduction(pin, answer.get("port80") is True)


class KeptIntroduction:
    """One small file in the state directory. Without it, or with a broken one, the relay is asked anew."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "derp-relay.json"

    def recall(self, place: str) -> Introduction | None:
        """What the relay at this place said last."""
        try:
            with self._path.open("rb") as file:
                kept = json.loads(file.read(FILE_LIMIT))
            return introduction_of(kept) if kept["place"] == place else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, place: str, said: Introduction) -> None:
        try:
            write_whole(
                self._path, json.dumps({"place": place, "pin": said.pin, "port80": said.port80}).encode()
            )
        except OSError as error:
            log.emit("derp_introduction_not_kept", path=str(self._path), reason=error.strerror)
