"""Kazoo's metaflows, as far as one can be carried out on a channel: module and data. Pure.

A metaflow that would run a second module after the first (`children`) is refused: half of it would
be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engine.core.errors import RequestInvalid

Words = tuple[str, dict[str, object]]
"""Name of one of `ACTIONS`, and its arguments."""


def parse_metaflow(data: Mapping[str, object]) -> Words:
    """Return the action a metaflow stands for. Raises `RequestInvalid`.

    The flow stands in `data` itself or, with `action` `metaflow`, in its `data`.
    """
    flow: object = data
    if "action" in data:
        if data["action"] != "metaflow":
            raise RequestInvalid("action", data["action"], "metaflow", "enum")
        flow = data.get("data")
    if not isinstance(flow, Mapping):
        raise RequestInvalid("data", None, "an object with module and data", "required")
    if flow.get("children"):
        raise RequestInvalid("children", "...", "none: one module at a time", "maxProperties")
    name, arguments = flow.get("module"), flow.get("data", {})
    module = _MODULES.get(name) if isinstance(name, str) else None
    if module is None:
        raise RequestInvalid("module", name, ", ".join(_MODULES), "enum")
    if not isinstance(arguments, Mapping):
        raise RequestInvalid("data", type(arguments).__name__, "an object", "type")
    return module(arguments)


def _as_it_is(action: str) -> Callable[[Mapping[str, object]], Words]:
    return lambda data: (action, dict(data))


def _play(data: Mapping[str, object]) -> Words:
    sound = data.get("id", data.get("media"))
    return "play", {"sound": sound, "repeat": data.get("repeat", False)}


def _hold_control(data: Mapping[str, object]) -> Words:
    return _chosen(data, {"hold": "hold", "unhold": "unhold"}), {}


def _record_call(data: Mapping[str, object]) -> Words:
    action = _chosen(data, {"start": "record_start", "stop": "record_stop"})
    names = ("media_name", "time_limit")
    return action, {name: data[name] for name in names if name in data}


def _chosen(data: Mapping[str, object], actions: Mapping[str, str]) -> str:
    given = data.get("action", next(iter(actions)))
    action = actions.get(given) if isinstance(given, str) else None
    if action is None:
        raise RequestInvalid("data.action", given, ", ".join(actions), "enum")
    return action


_MODULES: Mapping[str, Callable[[Mapping[str, object]], Words]] = MappingProxyType(
    {
        "hangup": _as_it_is("hangup"),
        "hold": _as_it_is("hold"),
        "hold_control": _hold_control,
        "transfer": _as_it_is("transfer"),
        "intercept": _as_it_is("intercept"),
        "play": _play,
        "break": _as_it_is("break"),
        "record_call": _record_call,
    }
)

MODULES = tuple(_MODULES)
"""Names of the modules that can be sent."""
