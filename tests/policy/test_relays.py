from __future__ import annotations

import pytest

from meshbox.policy.problem import PolicyError
from meshbox.policy.relays import Relays
from meshbox.wire.derpmap import DerpMap, DerpNode, Region
from tests.policy.build import document

OWN = DerpMap((Region(999, "own", "Own", (DerpNode("999a", "relay.example.com"),)),))
FAR = {"RegionID": 901, "RegionCode": "far", "Nodes": [{"Name": "901a", "HostName": "far.example.com"}]}


def regions(relays: Relays | None) -> list[int]:
    assert relays is not None
    return [region.id for region in relays.over(OWN).regions]


def test_regions_are_added_taken_away_and_put_in_place_of_all() -> None:
    assert document().relays is None
    assert regions(document(derpMap={"Regions": {"901": FAR}}).relays) == [901, 999]
    assert regions(document(derpMap={"Regions": {"999": None}}).relays) == []
    assert regions(document(derpMap={"OmitDefaultRegions": True, "Regions": {"901": FAR}}).relays) == [901]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"Regions": {"x": FAR}}, "derpMap: region 'x' is not a number"),
        ({"Regions": {"901": {**FAR, "Nodes": []}}}, "has no nodes"),
        ({"Regions": {"902": FAR}}, "regionid is 901, but it stands under 902"),
        ({"Region": {}}, "unknown key 'region'; did you mean 'regions'?"),
        ([], "is not a table"),
    ],
)
def test_mistakes_are_refused_with_their_place(written: object, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        document(derpMap=written)
    assert said in str(refused.value) and refused.value.spot is not None


def test_a_clash_with_the_configuration_leaves_its_map_alone() -> None:
    clash = {**FAR, "Nodes": [{"Name": "999a", "HostName": "far.example.com"}]}
    relays = document(derpMap={"Regions": {"901": clash}}).relays
    assert relays is not None and relays.over(OWN) is OWN
