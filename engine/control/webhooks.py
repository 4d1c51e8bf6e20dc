"""Webhooks: every event of an account to every URL that wants it, at least once, in order per call.

A delivery that succeeds at once costs no row in the database; one that fails, or has to wait, gets
one (`engine.store.deliveries`) and is tried for a day. The place in the stream of events moves on
when everything before it is delivered or stored, so after a crash nothing is missing, and what
comes twice has the same event id.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from engine.control.feed import Feed, FeedEvent
from engine.control.outbox import Outbox
from engine.control.webhook_client import Answer, WebhookClient
from engine.control.webhook_hook import Hook, HookKey, Watermark, item_of, row_of
from engine.control.webhook_payload import event_payload, fits, lane_of, wants
from engine.control.webhook_queue import MAX_WAITING, Item
from engine.control.webhook_sender import Sender, Tasks
from engine.core.errors import NotFound, WrongState
from engine.store.deliveries import MAX_DEAD, Deliveries, StoredDelivery
from engine.store.directory import Directory
from engine.store.journal import Journal
from engine.store.webhooks import Webhook

CLOSE_S = 2.0
"""How long `stop` waits for the deliveries on their way."""

_NAME = "webhooks"
_BATCH = 64
_REST_S = 0.05
"""Seconds for which events are let pass at a time while there is no webhook: looking at each costs
more than a call can spend on nobody."""
_DEAD_DROPPED = 1000
_NO_ROOM = "given up for want of room: too many deliveries wait for this webhook"

_log = logging.getLogger(__name__)


def _chance() -> float:
    return secrets.randbelow(1001) / 1000


class Webhooks:
    """The webhooks of one engine. Used from its event loop."""

    def __init__(
        self,
        node: str,
        directory: Directory,
        journal: Journal,
        feed: Feed,
        deliveries: Deliveries,
        *,
        private_addresses: bool = False,
        clock: Callable[[], float] = time.time,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """Prepare them; nothing is sent before `start`.

        `private_addresses`: whether targets may be in private networks. `clock` gives Unix time.
        """
        self._node = node
        self._directory = directory
        self._journal = journal
        self._feed = feed
        self._deliveries = deliveries
        self.private_addresses = private_addresses
        """Whether targets may be in private networks."""
        self._clock = clock
        self._max_waiting = max_waiting
        self._hooks: dict[HookKey, Hook] = {}
        self._of_account: dict[str, tuple[Hook, ...]] = {}
        # Stored before a crash while the place in the stream was not: an event of the same call
        # before them may have been on its way then, and comes first.
        self._ahead: dict[tuple[str, str, int], StoredDelivery] = {}
        self._mark = Watermark()
        self._tasks = Tasks()
        self._running = False
        self._moved = asyncio.Event()
        self._client: WebhookClient
        self._sender: Sender
        self._outbox: Outbox
        self.delivered = 0
        """Deliveries made."""
        self.failed = 0
        """Attempts that failed."""
        self.codes: dict[str, int] = {}
        """Attempts by the HTTP status of their answer, `0`: none came."""
        self.observe: Callable[[float], None] = lambda _: None
        """Told how long each attempt took, seconds."""
        self.given_up = 0
        """Deliveries that failed for a day, or for which there was no room."""
        directory.on_webhook_changed(self._changed)
        directory.on_account_deleted(self._account_deleted)

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read what waits from the database and begin to deliver."""
        dead = await self._deliveries.dead_counts()
        rows = await self._deliveries.waiting()
        self._client = WebhookClient(private_addresses=self.private_addresses)
        self._sender = Sender(
            *(self._node, self._deliveries, self._client, self._tasks),
            *(self._now, self._ended),
        )
        self._outbox = Outbox(self._feed, self._journal, _NAME)
        self._mark.taken = self._journal.cursor(_NAME)
        self._running = True
        for account in self._directory.accounts():
            for webhook in self._directory.webhooks(account.id):
                if webhook.enabled:
                    self._open((account.id, webhook.id), webhook, 0)
        self._add_stored(rows)
        for key, count in dead.items():
            if key in self._hooks:
                self._hooks[key].dead = count
            elif not self._directory.has("webhook", *key):
                # It was deleted while nobody was here to notice.
                self._tasks.spawn(self._forget(key, self._mark.taken, dead=True))
        for hook in self._hooks.values():
            self._sender.pump(hook)
        self._tasks.spawn(self._consume())
        self._tasks.spawn(self._keep_place())

    def _add_stored(self, rows: Iterable[StoredDelivery]) -> None:
        passed = max(self._mark.taken, self._journal.forgotten)
        for row in rows:
            hook = self._hooks.get((row.account_id, row.hook_id))
            if hook is None:
                self._deliveries.remove(row.key)
            elif row.sequence <= passed:
                hook.queue.add(item_of(row))
            else:
                self._ahead[row.key] = row

    async def stop(self) -> None:
        """Deliver what can be delivered at once, then stop; the rest comes after the next start."""
        if not self._running:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                while self._outbox.lag:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            _log.warning("webhooks: %d events are delivered after the next start", self.lag)
        self._running = False
        for hook in self._hooks.values():
            hook.close()
        await self._tasks.stop()
        self._outbox.close()
        await self._client.close()

    # --- questions --------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Deliveries that are not made and not given up."""
        return sum(len(hook.queue.items) for hook in self._hooks.values())

    @property
    def probing(self) -> int:
        """Webhooks whose target counts as down."""
        return sum(hook.queue.probing for hook in self._hooks.values())

    @property
    def lag(self) -> int:
        """Events that are not yet delivered to everybody, or stored."""
        return self._outbox.lag if self._running else 0

    def status(self, account_id: str, hook_id: str) -> dict[str, object]:
        """Return how a webhook fares: its state and how many deliveries wait or were given up."""
        hook = self._hooks.get((account_id, hook_id))
        if hook is None:
            return {"state": "disabled"}
        state = "probing" if hook.queue.probing else "working"
        return {"state": state, "waiting": len(hook.queue.items), "dead": hook.dead}

    async def attempts(
        self, account_id: str, hook_id: str | None, dead: bool | None, limit: int, start: int
    ) -> list[StoredDelivery]:
        """Return deliveries that have failed before; see `Deliveries.failed`. Raises `NotFound`."""
        if hook_id is not None:
            self._directory.document("webhook", account_id, hook_id)
        self._directory.account(account_id)
        return await self._deliveries.failed(account_id, hook_id, dead, limit, start)

    # --- orders -----------------------------------------------------------------------------------

    async def replay(self, account_id: str, hook_id: str, event_id: str | None = None) -> int:
        """Send again what was given up: one event, or all; return how many deliveries that are.

        Raises `NotFound` for the webhook and the event, `WrongState` when it is disabled.
        """
        self._directory.document("webhook", account_id, hook_id)
        hook = self._hooks.get((account_id, hook_id))
        if hook is None:
            raise WrongState(f"webhook {hook_id}", "disabled", "enabled")
        room = max(self._max_waiting - len(hook.queue.items), 0)
        rows = await self._deliveries.revive(hook.key, event_id, self._clock(), room)
        if event_id is not None and not rows:
            raise NotFound("attempt", event_id)
        for row in rows:
            if row.sequence not in hook.queue.items:
                hook.queue.add(item_of(row))
        hook.dead = max(hook.dead - len(rows), 0)
        self._sender.pump(hook)
        return len(rows)

    def retry_now(self, account_id: str) -> None:
        """Try every webhook of an account now, whatever its schedule says."""
        for hook in self._of_account.get(account_id, ()):
            hook.queue.reset()
            self._sender.pump(hook)

    # --- the directory ----------------------------------------------------------------------------

    def _changed(self, account_id: str, hook_id: str) -> None:
        """Follow the document of a webhook: put, changed, disabled or deleted."""
        if not self._running:
            return
        key = (account_id, hook_id)
        found = [one for one in self._directory.webhooks(account_id) if one.id == hook_id]
        hook = self._hooks.get(key)
        if found and found[0].enabled:
            if hook is None:
                self._open(key, found[0], self._feed.last_sequence)
            else:
                # What is wrong with it may just have been mended.
                hook.webhook = found[0]
                hook.queue.reset()
                self._sender.pump(hook)
        else:
            self._drop(key, dead=not found)
            self._gather(account_id)

    def _open(self, key: HookKey, webhook: Webhook, since: int) -> None:
        self._hooks[key] = Hook(key, webhook, self._max_waiting, since)
        self._gather(key[0])

    def _account_deleted(self, account_id: str) -> None:
        for key in [key for key in self._hooks if key[0] == account_id]:
            self._drop(key, dead=True)
        self._of_account.pop(account_id, None)

    def _gather(self, account_id: str) -> None:
        hooks = tuple(hook for key, hook in self._hooks.items() if key[0] == account_id)
        self._of_account[account_id] = hooks

    def _drop(self, key: HookKey, *, dead: bool) -> None:
        hook = self._hooks.pop(key, None)
        if hook is not None:
            hook.close()
            for item in hook.queue.fresh.values():
                self._close(item)
        for row in [row for name, row in self._ahead.items() if name[:2] == key]:
            self._deliveries.remove(row.key)
            del self._ahead[row.key]
        self._tasks.spawn(self._forget(key, self._mark.taken, dead=dead))

    async def _forget(self, key: HookKey, until: int, *, dead: bool) -> None:
        try:
            await self._deliveries.forget(key, until=until, dead=dead)
        except (SQLAlchemyError, OSError) as error:
            # They are looked for again at the next start, when there is no such webhook.
            _log.error("webhook %s: what it had to deliver stays: %s", key[1], error)

    # --- events in --------------------------------------------------------------------------------

    async def _consume(self) -> None:
        while True:
            events = await self._outbox.batch(_BATCH)
            if not self._hooks:
                self._outbox.close()
                await asyncio.sleep(_REST_S)
            if self._hooks:
                self._take_all(events)
            else:
                self._mark.taken = self._outbox.skip()
            self._mark.moved.set()
            if self._deliveries.full:
                # The database is away: what comes now waits in the journal, not in memory.
                await self._deliveries.settled()

    def _take_all(self, events: Iterable[FeedEvent]) -> None:
        for event in events:
            try:
                self._take(event)
            except Exception:
                # One that cannot be told must not keep back all that come after it.
                _log.exception("webhooks: event %s could not be told", event.sequence)
            self._mark.taken = event.sequence

    def _take(self, event: FeedEvent) -> None:
        for hook in self._of_account.get(event.account_id, ()):
            row = self._ahead.pop((*hook.key, event.sequence), None) if self._ahead else None
            if row is not None:
                hook.queue.add(item_of(row))
                self._sender.pump(hook)
            elif event.sequence > hook.since and wants(hook.webhook, event):
                self._deliver(hook, event)

    def _deliver(self, hook: Hook, event: FeedEvent) -> None:
        queue = hook.queue
        if event.sequence in queue.items:
            return
        payload = event_payload(event)
        if not fits(hook.webhook, payload):
            return
        item = Item(
            *(event.sequence, event.event_id(self._node), lane_of(event), event.name),
            *(event.at, self._clock(), msgspec.json.encode(payload)),
        )
        queue.add(item)
        self._mark.begin(item.sequence)
        if queue.must_store(item):
            self._store(hook, item)
        self._make_room(hook)
        self._sender.pump(hook)

    def _make_room(self, hook: Hook) -> None:
        dropped = hook.queue.overflow()
        if dropped and not hook.overflowing:
            _log.error("webhook %s: %s", hook.key[1], _NO_ROOM)
        hook.overflowing = bool(dropped)
        for item in dropped:
            if item.stored:
                self._deliveries.bury((*hook.key, item.sequence), _NO_ROOM)
            else:
                item.error = _NO_ROOM
                self._deliveries.put(row_of(hook.key, item, dead=True))
                self._close(item)
            self._gave_up(hook)

    def _now(self) -> float:
        return self._clock()

    # --- events out -------------------------------------------------------------------------------

    def _ended(self, hook: Hook, item: Item, answer: Answer, seconds: float) -> None:
        self.observe(seconds)
        code = str(answer.status)
        self.codes[code] = self.codes.get(code, 0) + 1
        if hook.closed:
            return
        if answer.error:
            self._not_delivered(hook, item, answer)
        else:
            self._delivered(hook, item)

    def _delivered(self, hook: Hook, item: Item) -> None:
        self.delivered += 1
        if hook.queue.probing:
            _log.warning("webhook %s: its target works again", hook.key[1])
        hook.queue.succeeded(item)
        if item.stored:
            self._deliveries.remove((*hook.key, item.sequence))
        else:
            self._close(item)

    def _not_delivered(self, hook: Hook, item: Item, answer: Answer) -> None:
        self.failed += 1
        item.status, item.error = answer.status, answer.error
        probing = hook.queue.probing
        final = hook.queue.failed(item, self._clock(), _chance())
        if hook.queue.probing and not probing:
            _log.warning(
                "webhook %s: its target counts as down, it is probed: %s", hook.key[1], item.error
            )
        self._store(hook, item, dead=final)
        if final:
            self._gave_up(hook)
        for held in hook.queue.held_up_by(item):
            self._store(hook, held)

    def _gave_up(self, hook: Hook) -> None:
        self.given_up += 1
        hook.dead += 1
        if hook.dead > MAX_DEAD:
            hook.dead -= _DEAD_DROPPED
            _log.error("webhook %s: the oldest %d dead deliveries go", hook.key[1], _DEAD_DROPPED)
            self._tasks.spawn(self._drop_dead(hook.key))

    async def _drop_dead(self, key: HookKey) -> None:
        try:
            await self._deliveries.drop_oldest_dead(key, _DEAD_DROPPED)
        except (SQLAlchemyError, OSError) as error:
            _log.error("webhook %s: dead deliveries not deleted: %s", key[1], error)

    # --- the place in the stream ------------------------------------------------------------------

    def _store(self, hook: Hook, item: Item, *, dead: bool = False) -> None:
        self._deliveries.put(row_of(hook.key, item, dead=dead))
        if not item.stored:
            self._close(item)
        hook.queue.stored(item)

    def _close(self, item: Item) -> None:
        """Note that an event need not be remembered for this delivery any more."""
        self._mark.end(item.sequence)
        self._mark.moved.set()

    async def _keep_place(self) -> None:
        while True:
            await self._mark.moved.wait()
            self._mark.moved.clear()
            reached = self._mark.reached()
            await self._deliveries.settled()
            self._outbox.done(reached)
            self._moved.set()
