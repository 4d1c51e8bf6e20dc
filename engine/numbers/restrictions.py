"""Which classes of numbers may not be dialled: Kazoo's `call_restriction`, level by level."""

from collections.abc import Mapping
from typing import Literal

from engine.numbers.numbering import DEFAULT_DENIED

RestrictionAction = Literal["allow", "deny", "inherit"]
"""What a level says of a class: it decides, or leaves it to the next level."""


def denied_classes(
    *levels: Mapping[str, RestrictionAction], default: frozenset[str] = DEFAULT_DENIED
) -> frozenset[str]:
    """Return the classes that are denied, from the nearest level to the farthest.

    Levels go device, user, account: the first that says "allow" or "deny" of a class decides; a
    class that none decides is denied when `default` holds it. Classes are the names of classifiers.

    >>> sorted(denied_classes({"toll_us": "inherit"}, {"toll_us": "allow", "caribbean": "deny"}))
    ['caribbean', 'emergency']
    """
    decided: dict[str, RestrictionAction] = {}
    for level in levels:
        for name, action in level.items():
            if action != "inherit":
                decided.setdefault(name, action)
    denied = {name for name, action in decided.items() if action == "deny"}
    return frozenset(denied | (default - decided.keys()))
