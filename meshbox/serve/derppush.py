"""Telling relays that stand on their own who is admitted, see relay/roster.py.

One task per relay. It sends the whole set first and whenever the relay says that it stands elsewhere, then
what changed, within milliseconds; between changes an empty push every HEARTBEAT finds out whether the relay
still knows what it was told. A relay that is away is tried again every RETRY; meanwhile changes merge, so
a relay that is away for long costs no more than the set itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

import aiohttp

from meshbox import log
from meshbox.errors import Malformed, PeerError
from meshbox.relay.roster import Push
from meshbox.serve.derpfeed import PATH
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.gojson import Json, parse_object
from meshbox.wire.keys import NodeKey

HEARTBEAT = 5.0
RETRY = 1.0
PATIENCE = 10.0
"""Seconds. A relay that takes longer to answer a push is treated as away."""

ANSWER_LIMIT = 64 * 1024

Told = Callable[[str, Json], None]
"""(the relay as it is configured, what it says of itself), after each push it took."""


class NotTaken(PeerError):
    """The relay did not take a push; the text says why."""


class Target:
    """Where one relay is pushed to: the path of its local socket, or `https://host[:port][#pin]` with the
    SHA-256 of its certificate where no authority vouches for it."""

    def __init__(self, place: str, token: str) -> None:
        self.place = place
        self._headers = {}
        self._is_local = place.startswith("/")
        self._pin: aiohttp.Fingerprint | bool = True
        self._url = f"http://relay{PATH}"
        if not self._is_local:
            parts = urlsplit(place)
            self._url = f"https://{parts.netloc}{PATH}"
            self._headers = {"Authorization": f"Bearer {token}"}
            if parts.fragment:
                self._pin = aiohttp.Fingerprint(bytes.fromhex(parts.fragment.removeprefix("sha256-raw:")))

    def session(self) -> aiohttp.ClientSession:
        connector = (
            aiohttp.UnixConnector(self.place) if self._is_local else aiohttp.TCPConnector(ssl=self._pin)
        )
        return aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE), trust_env=False
        )

    async def send(self, session: aiohttp.ClientSession, push: Push) -> tuple[bool, Json]:
        """(did it fit, what the relay said). Raises NotTaken."""
        try:
            async with session.post(
                self._url, data=push.encode(), headers=self._headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(ANSWER_LIMIT)
                if answer.status not in (200, 409):
                    raise NotTaken(f"it answers with status {answer.status}")
                return answer.status == 200, parse_object(body)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise NotTaken(str(error) or "it does not answer") from None
        except Malformed:
            raise NotTaken("what answers is no relay of meshbox") from None


class Pusher:
    """Follows the tailnet and tells all relays. `epoch` is hex digits of this run's own."""

    def __init__(self, tailnet: Tailnet, wall: Callable[[], float], epoch: str, told: Told) -> None:
        self.generation = 1
        self._tailnet = tailnet
        self._wall = wall
        self._epoch = epoch
        self._told = told
        self._lines: list[_Line] = []
        tailnet.admission.listen(self._changed)

    def start(self, places: tuple[str, ...], token: str) -> None:
        for place in places:
            self._lines.append(_Line(self, Target(place, token)))

    def close(self) -> None:
        for line in self._lines:
            line.close()

    def whole(self) -> Push:
        """Everybody who is admitted now."""
        now = self._wall()
        admit: dict[bytes, float] = {
            node.node_key: node.expires_at or 0.0
            for node in self._tailnet.nodes.values()
            if node.is_let_in(now)
        }
        return Push(self._epoch, None, self.generation, admit)

    def amended(self, since: int, changed: Collection[NodeKey]) -> Push:
        """What is true now of these keys."""
        nodes, now = self._tailnet.nodes, self._wall()
        admit: dict[bytes, float] = {}
        for key in changed:
            node_id = self._tailnet.by_node_key.get(key)
            if node_id is not None and nodes[node_id].is_let_in(now):
                admit[key] = nodes[node_id].expires_at or 0.0
        cut = tuple(key for key in changed if key not in admit)
        return Push(self._epoch, since, self.generation, admit, cut)

    def told(self, place: str, answer: Json) -> None:
        self._told(place, answer)

    def _changed(self, node_key: NodeKey, is_admitted: bool) -> None:
        self.generation += 1
        for line in self._lines:
            line.note(node_key)


class _Line:
    """One relay: what it was told, what it still has to be told."""

    def __init__(self, pusher: Pusher, target: Target) -> None:
        self._pusher = pusher
        self._target = target
        self._changed: set[NodeKey] = set()
        self._stands_at: int | None = None
        self._is_away = False
        self._woken = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    def note(self, key: NodeKey) -> None:
        self._changed.add(key)
        self._woken.set()

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        async with self._target.session() as session:
            while True:
                pause = HEARTBEAT
                self._woken.clear()
                try:
                    await self._tell(session)
                except NotTaken as error:
                    pause = RETRY
                    self._note_away(str(error))
                except Exception as error:
                    # A fault of ours must not end the telling: strangers would stay in for ever.
                    pause = RETRY
                    self._note_away(repr(error))
                try:
                    async with asyncio.timeout(pause):
                        # While it is away, a change is no reason to try sooner.
                        await (asyncio.sleep(pause) if self._is_away else self._woken.wait())
                except TimeoutError:
                    pass

    async def _tell(self, session: aiohttp.ClientSession) -> None:
        pusher = self._pusher
        if self._stands_at is not None:
            changed, self._changed = self._changed, set()
            push = pusher.amended(self._stands_at, changed)
            try:
                fits, answer = await self._target.send(session, push)
            except NotTaken:
                # It may have taken it or not: what it says next will show.
                self._changed |= changed
                raise
            if fits:
                self._note_taken(push, answer)
                return
        self._changed.clear()
        push = pusher.whole()
        self._stands_at = None
        fits, answer = await self._target.send(session, push)
        if not fits:
            raise NotTaken("it refuses a whole set")
        self._note_taken(push, answer)

    def _note_taken(self, push: Push, answer: Json) -> None:
        self._stands_at = push.to
        if self._is_away:
            log.emit("relay_told_again", address=self._target.place)
        self._is_away = False
        self._pusher.told(self._target.place, answer)

    def _note_away(self, reason: str) -> None:
        if not self._is_away:
            log.emit("relay_not_told", address=self._target.place, reason=reason)
        self._is_away = True
