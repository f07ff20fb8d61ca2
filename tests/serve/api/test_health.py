from __future__ import annotations

from meshbox import __version__
from meshbox.errors import StoreFull
from tests.serve.api.stand import URL, Stand
from tests.tailnet.build import join, make_key


def test_health_tells_about_the_database(stand: Stand) -> None:
    fine = {"databaseConnectivity": True, "problems": {}, "doubts": {}}
    assert stand.ask("GET", "/api/v1/health").json == fine
    stand.is_fine = False
    stand.doubts["certificate"] = "soon"
    sick = {"databaseConnectivity": False, "problems": {}, "doubts": {"certificate": "soon"}}
    assert stand.ask("GET", "/api/v1/health").json == sick


def test_status_counts(stand: Stand) -> None:
    stand.do(lambda t: join(t, 1, make_key(t, "ana")))
    stand.do(lambda t: t.presence.enter(1))
    answer = stand.ask("GET", "/api/v1/status").json
    assert answer["version"] == __version__ and answer["serverUrl"] == URL
    assert (answer["users"], answer["nodes"], answer["nodesOnline"]) == (1, 1, 1)
    assert answer["registrationsWaiting"] == 0


def test_a_full_disk_is_507_and_reading_goes_on(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "ana"})

    def full(steps: object) -> int:
        raise StoreFull("the database: no space left on device")

    stand.do(lambda t: setattr(t.store, "commit", full))
    answer = stand.ask("POST", "/api/v1/user", {"name": "ben"})
    assert answer.status == 507 and "no space left" in answer.message
    assert [user["name"] for user in stand.ask("GET", "/api/v1/user").json["users"]] == ["ana"]
