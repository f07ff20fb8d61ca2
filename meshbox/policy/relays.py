"""`derpMap` of a policy: relays added to those of the configuration, taken away, or in their place."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.errors import Invalid
from meshbox.wire.derpmap import DerpMap, merge


@dataclass(frozen=True, slots=True)
class Relays:
    """`regions` with those that are removed; `is_whole`: none of the configuration's are used."""

    regions: DerpMap
    is_whole: bool = False

    def over(self, configured: DerpMap) -> DerpMap:
        """The map that clients are sent. Two nodes of one name would be one to a client: then the
        configuration's map stays as it is, because the relays in it are known to work."""
        try:
            return merge(self.regions) if self.is_whole else merge(configured, self.regions)
        except Invalid:
            return configured
