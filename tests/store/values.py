"""Hypothesis strategies for every value the store keeps."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import strategies as st

from meshbox.policy.world import ROLES
from meshbox.tailnet.model import ApiKey, AuthKey, Node, Notice, PolicyVersion, Report, User
from meshbox.wire.keys import DiscoKey, MachineKey, NodeKey

# Everything UTF-8 can say, NUL and quotes included.
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
times = st.floats(allow_nan=False, allow_infinity=False)
ids = st.integers(1, 2**31)
blobs = st.binary(max_size=40)
raw_keys = st.binary(min_size=32, max_size=32)
tags = st.lists(texts, min_size=1, max_size=3).map(tuple)
prefixes = st.ip_addresses().flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(
        lambda bits: ip_network((address, bits), strict=False)
    )
)
routes = st.lists(prefixes, max_size=3).map(tuple)


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | values


roles = st.sampled_from(("member", *ROLES))
users = st.builds(User, ids, texts, times, texts, texts, texts, texts, texts, roles, st.just(()) | tags)
policies = st.builds(PolicyVersion, ids, texts, texts, times, texts)
auth_keys = st.builds(
    AuthKey, ids, texts, blobs, times, maybe(ids), st.just(()) | tags, st.booleans(), st.booleans(),
    maybe(times), maybe(times), maybe(times), st.booleans(),
)  # fmt: skip
api_keys = st.builds(ApiKey, ids, texts, blobs, times, times, texts, maybe(times), maybe(times))
nodes = st.builds(
    Node,
    id=ids,
    stable_id=texts,
    machine_key=raw_keys.map(MachineKey),
    node_key=raw_keys.map(NodeKey),
    name=texts,
    created_at=times,
    user_id=maybe(ids),
    tags=st.just(()) | tags,
    hostname=texts,
    name_is_chosen=st.booleans(),
    ipv4=maybe(st.ip_addresses(v=4)),
    ipv6=maybe(st.ip_addresses(v=6)),
    expires_at=maybe(times),
    ephemeral=st.booleans(),
    auth_key_id=maybe(ids),
    register_method=st.sampled_from(["key", "approval", "oidc"]),
    approved_routes=routes,
    is_approved=st.booleans(),
    attributes=st.lists(st.tuples(texts, texts | st.booleans() | st.integers(-9, 9)), max_size=3).map(tuple),
)
notices = st.builds(
    Notice, ids, texts, times, texts, texts, st.sampled_from(["low", "medium", "high"]), texts, texts,
    st.just(()) | tags,
)  # fmt: skip
reports = st.builds(
    Report,
    disco_key=maybe(raw_keys.map(DiscoKey)),
    endpoints=st.lists(texts, max_size=3).map(tuple),
    home_derp=st.integers(0, 2**40),
    capver=st.integers(0, 2**40),
    hostinfo=blobs,
    peer_hostinfo=blobs,
    advertised_routes=routes,
    os=texts,
    client_version=texts,
    last_seen=maybe(times),
)
