"""The tables, as peewee models: one column per field of the value a table keeps, same name, same order.

A model says how each field is written and read back; `rows` turns values into rows with nothing
but that. What a table forbids (unique names, owners that exist) is said in the migration steps,
and a test holds the two together. peewee is untyped, so this is the one module where Any lives.
"""

from __future__ import annotations

import json
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from sys import intern
from typing import TYPE_CHECKING, Any

import peewee as pw

from meshbox.tailnet.model import Prefix
from meshbox.wire.keys import DiscoKey, MachineKey, NodeKey

if TYPE_CHECKING:
    Field = pw.Field[Any]
else:
    Field = pw.Field

SHARED_LISTS = 1024
"""How many decoded lists are shared between rows: ten thousand nodes carry a few dozen tag lists."""


class BytesField(Field):
    """Bytes as they are; `kind` is the type they are read back as (a public key)."""

    field_type = "BLOB"

    def __init__(self, kind: type[bytes] = bytes, **options: Any) -> None:
        self.kind = kind
        super().__init__(**options)

    def db_value(self, value: Any) -> Any:
        return None if value is None else bytes(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else self.kind(value)


class AddressField(Field):
    """An IP address as its canonical text, readable in any SQLite shell."""

    field_type = "TEXT"

    def __init__(self, kind: type[IPv4Address] | type[IPv6Address], **options: Any) -> None:
        self.kind = kind
        super().__init__(null=True, **options)

    def db_value(self, value: Any) -> Any:
        return None if value is None else str(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else self.kind(value)


class TextsField(Field):
    """A tuple of texts as a JSON list; the empty tuple is `[]`."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else "[]"

    def python_value(self, value: Any) -> Any:
        return tuple(json.loads(value))


class TagsField(TextsField):
    """A list of texts that many rows share."""

    def python_value(self, value: Any) -> Any:
        return _shared_texts(value)


class PrefixesField(Field):
    """A tuple of IP prefixes as a JSON list of their texts."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return json.dumps([str(prefix) for prefix in value], separators=(",", ":")) if value else "[]"

    def python_value(self, value: Any) -> Any:
        return _prefixes(value)


class AttributesField(TextsField):
    """A tuple of (name, value), a value being text, a number or a truth, as a JSON list of pairs."""

    def python_value(self, value: Any) -> Any:
        return tuple((name, one) for name, one in json.loads(value))


class CommonTextField(pw.TextField):
    """A text that many rows share: kept in memory once."""

    def python_value(self, value: Any) -> Any:
        return intern(value)


@lru_cache(SHARED_LISTS)
def _shared_texts(value: str) -> tuple[str, ...]:
    return tuple(json.loads(value))


@lru_cache(SHARED_LISTS)
def _prefixes(value: str) -> tuple[Prefix, ...]:
    return tuple(ip_network(text) for text in json.loads(value))


class Table(pw.Model):
    """A base without columns: what all tables have in common."""

    class Meta:
        legacy_table_names = False
        strict_tables = True


class Users(Table):
    id = pw.AutoField()
    name = pw.TextField()
    created_at = pw.FloatField()
    display_name = pw.TextField()
    email = pw.TextField()
    provider = pw.TextField()
    subject = pw.TextField()
    picture_url = pw.TextField()
    role = CommonTextField()
    groups = TagsField()


class AuthKeys(Table):
    id = pw.AutoField()
    prefix = pw.TextField()
    secret_hash = BytesField()
    created_at = pw.FloatField()
    user_id = pw.IntegerField(null=True)
    tags = TagsField()
    reusable = pw.BooleanField()
    ephemeral = pw.BooleanField()
    expires_at = pw.FloatField(null=True)
    used_at = pw.FloatField(null=True)
    revoked_at = pw.FloatField(null=True)
    preapproved = pw.BooleanField()


class ApiKeys(Table):
    id = pw.AutoField()
    prefix = pw.TextField()
    secret_hash = BytesField()
    created_at = pw.FloatField()
    expires_at = pw.FloatField()
    description = pw.TextField()
    last_used_at = pw.FloatField(null=True)
    revoked_at = pw.FloatField(null=True)


class Nodes(Table):
    id = pw.AutoField()
    stable_id = pw.TextField()
    machine_key = BytesField(MachineKey)
    node_key = BytesField(NodeKey)
    name = pw.TextField()
    created_at = pw.FloatField()
    user_id = pw.IntegerField(null=True)
    tags = TagsField()
    hostname = pw.TextField()
    name_is_chosen = pw.BooleanField()
    ipv4 = AddressField(IPv4Address)
    ipv6 = AddressField(IPv6Address)
    expires_at = pw.FloatField(null=True)
    ephemeral = pw.BooleanField()
    auth_key_id = pw.IntegerField(null=True)
    register_method = CommonTextField()
    approved_routes = PrefixesField()
    is_approved = pw.BooleanField()
    attributes = AttributesField()


class Notices(Table):
    id = pw.AutoField()
    name = pw.TextField()
    created_at = pw.FloatField()
    title = pw.TextField()
    text = pw.TextField()
    severity = CommonTextField()
    link = pw.TextField()
    label = pw.TextField()
    targets = TextsField()


class Policies(Table):
    """Every version of the policy, oldest first; rows are never changed or deleted."""

    id = pw.AutoField()
    text = pw.TextField()
    actor = pw.TextField()
    created_at = pw.FloatField()
    note = pw.TextField()


class Reports(Table):
    """Soft facts, apart from the nodes: rewritten every few seconds, while a node's row rests."""

    node_id = pw.IntegerField(primary_key=True)
    disco_key = BytesField(DiscoKey, null=True)
    endpoints = TextsField()
    home_derp = pw.IntegerField()
    capver = pw.IntegerField()
    hostinfo = BytesField()
    peer_hostinfo = BytesField()
    advertised_routes = PrefixesField()
    os = CommonTextField()
    client_version = CommonTextField()
    last_seen = pw.FloatField(null=True)
