"""A password never shows in the text of a value, as logs and tracebacks have it."""

import pytest

from engine.control.amqp_url import Broker
from engine.core.passwords import HidesPassword
from engine.core.values import Credentials
from engine.store.documents import DeviceSip


@pytest.mark.parametrize(
    "value",
    [
        Credentials("ann", "s3cret"),
        Broker("bus.example.org", 5672, "kazoo", "s3cret", "/", False),
        DeviceSip(username="ann", password="s3cret"),
    ],
)
def test_a_password_is_not_shown(value: HidesPassword) -> None:
    assert "s3cret" not in repr(value)
    assert "password=***" in repr(value)
