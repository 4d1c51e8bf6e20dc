"""What the property tests of call control draw from."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.core.values import Contact, Endpoint, Refusal
from tests.unit.core.rig import carrier, device

BARRED = Refusal("OUTGOING_CALL_BARRED", "emergency numbers are restricted")
STATUSES = [0, 200, 404, 408, 480, 486, 487, 488, 500, 503, 603, 699]

contacts = st.lists(
    st.sampled_from([Contact(f"sip:p@10.0.0.{n}", q=n / 4) for n in range(4)] + [Contact("x:y")]),
    max_size=3,
).map(tuple)
devices = st.builds(
    lambda name, where, early, delay, limit, first: device(
        name,
        contacts=where,
        ignore_early_media=early,
        delay=delay,
        timeout=limit,
        progress_timeout=first,
        fallbacks=(carrier("back"), carrier("up")) if delay == 0.0 else (),
    ),
    st.sampled_from(["alice", "bob"]),
    contacts,
    st.sampled_from([None, True, False, "ring_ready"]),
    st.sampled_from([None, None, 0.0, 2.0]),
    st.sampled_from([None, None, 4.0]),
    st.sampled_from([None, None, 1.0]),
)
targets: st.SearchStrategy[Endpoint] = devices | st.sampled_from([carrier("west"), carrier("east")])
MOVED = (
    "<sip:alice@10.9.9.9>;q=0.3",
    '"Sales" <sip:3001@example.org;user=phone>;q=0.7',
    "sip:west@10.9.9.8",
    "<tel:+15551234>",
)
