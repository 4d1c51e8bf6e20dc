"""Tokens of the HTTP API, the accounts each may use, and a number that grows with every change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables, the last with its one row."""
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("last_used_day", sa.Integer, nullable=False),
    )
    op.create_table(
        "token_accounts",
        sa.Column("token_id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
    )
    op.create_index("token_accounts_by_account", "token_accounts", ["account_id"])
    made = op.create_table(
        "token_revision",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(made, [{"id": 1, "revision": 0}])


def downgrade() -> None:
    """Drop the tables: what only they held can no longer be used."""
    op.drop_table("token_revision")
    op.drop_table("token_accounts")
    op.drop_table("tokens")
