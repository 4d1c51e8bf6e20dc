"""Blocklists, and dial plans that several dial plans share: kept in memory, references checked.

A document names a shared dial plan (`dial_plan.system`) or a blocklist (`blocklists` of an account)
only when it is there, and what is named cannot be deleted: a call never meets a name that leads
nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.errors import Conflict, RequestInvalid
from engine.store.documents import (
    Account,
    Blocklist,
    Device,
    SharedDialPlan,
    User,
    shared_plans,
)


class NumberRules:
    """The blocklists of every account, and the shared dial plans."""

    def __init__(self) -> None:
        """Begin without any."""
        self.plans: dict[str, SharedDialPlan] = {}
        """Shared dial plans by name."""
        self.blocklists: dict[str, dict[str, Blocklist]] = {}
        """By account id and id."""

    def check(self, document: Account | User | Device) -> None:
        """Raise `RequestInvalid` when a document names a plan or a list that is not there."""
        for name in shared_plans(document.dial_plan):
            if name not in self.plans:
                known = ", ".join(sorted(self.plans)) or "none, for there is no shared dial plan"
                raise RequestInvalid("dial_plan.system", name, known, "enum")
        if isinstance(document, Account):
            lists = self.blocklists.get(document.id, {})
            field = "blacklists" if document.blocklists is None else "blocklists"
            for list_id in document.chosen_blocklists or ():
                if list_id not in lists:
                    raise RequestInvalid(field, list_id, "ids of blocklists of the account", "enum")

    def check_unused(
        self, unneeded: Blocklist | SharedDialPlan, by: Iterable[Account | User | Device]
    ) -> None:
        """Raise `Conflict` when one of these documents names a list or plan to be deleted."""
        for document in by:
            if isinstance(unneeded, SharedDialPlan):
                if unneeded.id in shared_plans(document.dial_plan):
                    raise Conflict("dial_plan.system", unneeded.id, _words(document))
            elif isinstance(document, Account) and unneeded.id in (
                document.chosen_blocklists or ()
            ):
                raise Conflict("blocklists", unneeded.id, _words(document))

    def applied(self, account: Account) -> tuple[Blocklist, ...]:
        """Return the blocklists that numbers of an account are looked up in, by id.

        Those the account names, else all; in either case only the enabled ones.
        """
        lists = self.blocklists[account.id]
        chosen = sorted(lists if account.chosen_blocklists is None else account.chosen_blocklists)
        return tuple(lists[list_id] for list_id in dict.fromkeys(chosen) if lists[list_id].enabled)


def _words(document: Account | User | Device) -> str:
    return f"{type(document).__name__.lower()} {document.id}"
