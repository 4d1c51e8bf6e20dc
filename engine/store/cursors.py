"""How far each consumer of the outbox has got: what it still needs is kept, what lags is counted.

Sequences leave a gap at every restart, so events that wait are not counted by subtraction alone.
"""

from __future__ import annotations

from collections.abc import Mapping


class Cursors:
    """The consumers of one journal, by name.

    One that is not used any more has no say in what is refused, and is waited for only so long
    (`Journal.open`).
    """

    def __init__(self, stored: Mapping[str, tuple[int, int]], newest: int, start: int) -> None:
        """Take what is stored of each: its sequence, and how many stored events come after it.

        `newest`: the last stored event. `start`: the sequence after which this process numbers.
        """
        self._at = {name: min(sequence, start) for name, (sequence, _) in stored.items()}
        self._after = {name: count for name, (_, count) in stored.items()}
        self._newest = newest
        self._start = start
        self._used: set[str] = set()

    def use(self, name: str, now: int) -> bool:
        """Note that a consumer is there; one never seen begins after the sequence `now`.

        Return whether it is new.
        """
        self._used.add(name)
        is_new = name not in self._at
        self._at.setdefault(name, now)
        return is_new

    def at(self, name: str) -> int:
        """Return up to which sequence a known consumer is done."""
        return self._at[name]

    def move(self, name: str, sequence: int) -> bool:
        """Note that a known consumer is done up to a sequence; return whether that is news."""
        if sequence <= self._at[name]:
            return False
        self._at[name] = sequence
        return True

    def lag(self, name: str, last: int) -> int:
        """Return how many events up to `last`, the newest, a known consumer is not done with.

        Never too few; too many where events of an earlier process are left out.
        """
        at = self._at[name]
        if at >= self._start:
            return last - at
        old = max(0, min(self._after.get(name, 0), self._newest - at))
        return old + last - self._start

    def most(self, last: int) -> tuple[int, str]:
        """Return the largest lag of the consumers in use and whose it is; 0 without any."""
        return max(((self.lag(name, last), name) for name in self._used), default=(0, ""))

    def needed(self, *, unused: bool) -> int | None:
        """Return the sequence up to which nobody needs events, None when nobody is there.

        `unused`: count consumers that are not in use, too.
        """
        names = self._at if unused else self._used
        return min((self._at[name] for name in names), default=None)
