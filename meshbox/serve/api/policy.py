"""/api/v1/policy: the policy in force, its history, and every question about it.

GET and PUT have Headscale's shape: `policy` is the text, verbatim. A change may say which version it started
from (If-Match with the ETag of the GET, or `expected`); then it is refused when somebody was faster.
"""

from __future__ import annotations

from meshbox.errors import Invalid
from meshbox.policy.contrast import Contrast, Half
from meshbox.policy.questions import Explanation, Tried
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing, Marked
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.ends import find_end, read_protocol, split_target
from meshbox.serve.api.lookup import is_id
from meshbox.serve.api.moments import write_moment
from meshbox.serve.api.shapes import policy_entry_json
from meshbox.serve.policydesk import Change, Way
from meshbox.tailnet import policies
from meshbox.tailnet.model import PolicyVersion
from meshbox.tailnet.tailnet import Tailnet

POLICY_BODY_LIMIT = 4 << 20
"""A policy file has at most 1 MiB; in JSON, line ends and quotes take two bytes."""

HISTORY_LIMIT = 1000


@endpoint("GET", "/policy", Audience.ADMINISTRATOR)
def show(call: Call) -> Marked:
    """The policy in force; `policy` is "" and `version` "0" when there is none. `newest` is another version
    only when that one cannot be used, which `problem` explains."""
    t, desk = call.tailnet, call.context.desk
    version = t.in_force.version
    newest = policies.newest_id(t)
    body = {
        **_version_json(version),
        "newest": str(newest),
        "file": str(desk.file or ""),
        "problem": desk.fault,
    }
    return Marked(body, str(newest))


@endpoint("PUT", "/policy", Audience.ADMINISTRATOR, POLICY_BODY_LIMIT)
async def put(call: Call) -> Marked:
    change = Change(call.wants("policy"), call.actor, call.text("note"), expected(call))
    return _done(await call.context.desk.put(change))


@endpoint("GET", "/policy/history", Audience.ADMINISTRATOR)
def history(call: Call) -> Listing:
    """Newest first; at most `limit` of them."""
    limit = _number(call, "limit", HISTORY_LIMIT)
    return Listing("versions", call.tailnet.store.policy_versions(limit), policy_entry_json)


@endpoint("POST", "/policy/check", Audience.ADMINISTRATOR, POLICY_BODY_LIMIT)
async def check(call: Call) -> Json:
    """{} when the policy is fine; else 422 with the place and what is wrong."""
    await call.context.desk.check(call.wants("policy"))
    return {}


@endpoint("POST", "/policy/test", Audience.ADMINISTRATOR, POLICY_BODY_LIMIT)
async def test(call: Call) -> Json:
    """Every entry of `tests` and `sshTests` of the text that is sent, or else of the policy in force."""
    found = await call.context.desk.try_tests(call.text("policy") or None)
    return {"tests": [_tried_json(one) for one in found], "failed": sum(bool(one.errors) for one in found)}


@endpoint("POST", "/policy/diff", Audience.ADMINISTRATOR, POLICY_BODY_LIMIT)
async def diff(call: Call) -> Json:
    """Who loses and gains access: from version `from`, or else the policy in force, to the text `policy` or
    version `to`."""
    t, desk = call.tailnet, call.context.desk
    old = policies.require(t, _version_id(call.text("from"))).text if call.text("from") else desk.text
    if call.text("policy") and call.text("to"):
        raise Invalid("policy and to: give one of them")
    new = call.text("policy") or policies.require(t, _version_id(call.wants("to", "policy"))).text
    found = await desk.compare(new, old)
    return _contrast_json(t, found)


@endpoint("POST", "/policy/explain", Audience.ADMINISTRATOR, POLICY_BODY_LIMIT)
async def explain(call: Call) -> Json:
    """May `src` reach `dst` (with its port) by the policy in force, or by the text `policy`?"""
    t = call.tailnet
    protocol = read_protocol(call.text("proto"))
    host, port = split_target(call.wants("dst"), protocol)
    way = Way(find_end(t, call.wants("src")), find_end(t, host), port, protocol)
    candidate = call.text("policy") or None
    version = None if candidate else t.in_force.version
    found = await call.context.desk.explain(way, candidate)
    return _explanation_json(t, found, version)


@endpoint("GET", "/policy/{version}", Audience.ADMINISTRATOR)
def show_version(call: Call) -> Json:
    return _version_json(policies.require(call.tailnet, _version_id(call.path["version"])))


@endpoint("POST", "/policy/{version}/restore", Audience.ADMINISTRATOR)
async def restore(call: Call) -> Marked:
    version_id = _version_id(call.path["version"])
    return _done(await call.context.desk.restore(version_id, call.actor, call.text("note"), expected(call)))


def expected(call: Call) -> int | None:
    """The version that a change started from: of If-Match, or `expected` in the body. None: nobody said."""
    text = call.if_match.strip().removeprefix("W/").strip('"')
    if text == "*":
        return None
    text = text or call.text("expected")
    if not text:
        return None
    if not is_id(text):
        raise Invalid(f"If-Match: {text[:40]!r} is no version of the policy; send the ETag of GET /policy")
    return int(text)


def _done(version: PolicyVersion) -> Marked:
    return Marked(_version_json(version), str(version.id))


def _version_id(text: str) -> int:
    if not is_id(text):
        raise Invalid(f"{text[:40]!r} is no version of the policy; a version is a number")
    return int(text)


def _number(call: Call, name: str, limit: int) -> int:
    text = call.text(name)
    if not text:
        return limit
    if not is_id(text) or int(text) == 0:
        raise Invalid(f"{name}: wants a number from 1")
    return min(int(text), limit)


def _version_json(version: PolicyVersion | None) -> Json:
    if version is None:
        return {"policy": "", "updatedAt": None, "version": "0", "actor": "", "note": ""}
    return {
        "policy": version.text,
        "updatedAt": write_moment(version.created_at),
        "version": str(version.id),
        "actor": version.actor,
        "note": version.note,
    }


def _tried_json(one: Tried) -> Json:
    return {
        "src": one.src,
        "wishes": list(one.wishes),
        "line": one.spot.line,
        "column": one.spot.column,
        "passed": not one.errors,
        "errors": list(one.errors),
    }


def _contrast_json(t: Tailnet, found: Contrast) -> Json:
    return {"lost": _half_json(t, found.lost), "gained": _half_json(t, found.gained)}


def _half_json(t: Tailnet, half: Half) -> Json:
    rows = [
        {
            "src": row.src,
            "dst": row.dst,
            "ports": row.ports,
            "pairs": row.pairs,
            "isNetwork": row.example[1] is None,
            "example": {"src": _name(t, row.example[0]), "dst": _name(t, row.example[1]) or row.dst},
        }
        for row in half.rows
    ]
    return {"pairs": half.pairs, "rowCount": half.row_count, "rows": rows}


def _explanation_json(t: Tailnet, found: Explanation, version: PolicyVersion | None) -> Json:
    rules = [
        {
            "section": cause.section,
            "index": cause.index,
            "line": cause.spot.line if cause.spot else None,
            "column": cause.spot.column if cause.spot else None,
            "rule": cause.rule,
            "pairs": cause.pairs,
        }
        for cause in found.causes
    ]
    denied = found.denied and {"src": _name(t, found.denied[0]), "dst": _name(t, found.denied[1])}
    return {
        "allowed": found.pairs > 0 and found.allowed == found.pairs,
        "pairs": found.pairs,
        "allowedPairs": found.allowed,
        "rules": rules,
        "denied": denied,
        "version": str(version.id) if version else None,
        "source": version.actor.removeprefix("file:")
        if version and version.actor.startswith("file:")
        else "",
    }


def _name(t: Tailnet, node_id: int | None) -> str:
    node = t.nodes.get(node_id or 0)
    return "" if node is None else node.name
