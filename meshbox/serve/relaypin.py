"""What our separate relay last said of its certificate, kept for the next start of the control server."""

from __future__ import annotations

import json
from pathlib import Path

from meshbox import log
from meshbox.durable import write_whole

FILE_LIMIT = 4096


class KeptPin:
    """One small file in the state directory. Without it, or with a broken one, the relay is asked anew."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "derp-relay.json"

    def recall(self, place: str) -> str | None:
        """The pin that the relay at this place had, "" when it needed none; None when that is not known."""
        try:
            with self._path.open("rb") as file:
                kept = json.loads(file.read(FILE_LIMIT))
            return str(kept["pin"]) if kept["place"] == place else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, place: str, pin: str) -> None:
        try:
            write_whole(self._path, json.dumps({"place": place, "pin": pin}).encode())
        except OSError as error:
            log.emit("derp_pin_not_kept", path=str(self._path), reason=error.strerror)
