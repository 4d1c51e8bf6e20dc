"""The tables as SQLAlchemy Core sees them. The migrations create them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

# SQLite makes a column its row id, and so needs no second tree for it, only when the type is
# spelled INTEGER.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

documents = Table(
    "documents",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
"""Documents of every kind as JSON. The directory keeps them free of clashes."""

bindings = Table(
    "bindings",
    metadata,
    Column("aor", Text, primary_key=True),
    Column("uri", Text, primary_key=True),
    Column("expires_at", Double, nullable=False),
    Column("binding", LargeBinary, nullable=False),
)
"""One registered contact of one address of record, the whole `Binding` as JSON."""

events = Table(
    "events",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=False),
    Column("account_id", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("events_of_account", "account_id", "sequence"),
)
"""The outbox: every event published, in the order of the stream."""

journal_state = Table(
    "journal_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("settled", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("forgotten", BigInteger, nullable=False, server_default="0"),
)
"""One row: no event up to `settled` belongs to a call that was not over at the Unix time `at`, and
events up to `forgotten` may be deleted."""

cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)
"""Up to which event each consumer of the outbox is done."""

store = Table("store", metadata, Column("id", Text, primary_key=True))
"""One row: the id of this database, by which its spool knows it."""

waiting_requests = Table(
    "waiting_requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
"""Accepted requests that no event tells of yet, because their first INVITE is delayed."""

cdrs = Table(
    "cdrs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("interaction_id", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("cdrs_of_account", "account_id", "at"),
    Index("cdrs_of_interaction", "account_id", "interaction_id"),
)
"""One call record per leg, as JSON."""

route_tables = Table(
    "route_tables",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("imported_at", Double, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
"""One route table per account: its canonical CSV (docs/routes.md), compressed with zlib."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("idempotency_keys_by_age", "at"),
    Index("idempotency_keys_of_account", "account_id", "at"),
)
"""What each idempotency key was used for and the answer it got; status 0: none yet."""

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("hook_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("since", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tried_at", Double, nullable=False),
    Column("dead", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)
"""What webhooks still have to deliver, and with `dead` 1 what they gave up."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("last_used_day", Integer, nullable=False),
)
"""Tokens of the HTTP API: the SHA-256 of each, its scopes separated by spaces. `expires_at` 0:
never; `last_used_day`: days since 1970 (UTC), 0: not yet."""

token_accounts = Table(
    "token_accounts",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Index("token_accounts_by_account", "account_id"),
)
"""The accounts a token may use, `*` for all."""

token_revision = Table(
    "token_revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)
"""One row: a number that grows with every token that is made or revoked."""
