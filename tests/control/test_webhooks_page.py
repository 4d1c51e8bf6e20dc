"""What docs/webhooks.md shows works."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from engine.control.feed import FeedEvent
from engine.control.webhook_payload import event_payload, posting
from engine.store.webhooks import Webhook

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"


def example() -> Callable[[str, dict[str, str], bytes], bool]:
    """Return the page's function that checks a signature."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    checks: Callable[[str, dict[str, str], bytes], bool] = names["is_genuine"]
    return checks


def test_the_example_knows_genuine_deliveries() -> None:
    is_genuine = example()
    event = FeedEvent(1, "CHANNEL_CREATE", "a", "c", 1.0, {"Call-ID": "c"})
    payload = msgspec.json.encode(event_payload(event))
    for verb in ("post", "get"):
        webhook = Webhook("h", "n", "all", "http://x.test/?a=1", verb, secret="its-secret")
        for at, fresh in ((time.time(), True), (time.time() - 1000, False)):
            sent = posting(*(webhook, "a", payload), event_id="1", attempt=1, cluster_id="n", at=at)
            headers = {name.lower(): value for name, value in sent.headers.items()}
            signed = sent.url.partition("?")[2].encode() if verb == "get" else sent.body
            assert is_genuine(webhook.secret, headers, signed) is fresh
            assert not is_genuine("another", headers, signed)
            assert not is_genuine(webhook.secret, headers, signed + b"x")


def test_the_page_names_every_field_and_nothing_else() -> None:
    table = PAGE.read_text().partition("| field |")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert named == set(Webhook.__struct_fields__) - {"id"}
