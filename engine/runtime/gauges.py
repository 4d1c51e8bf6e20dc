"""What the parts of an engine count themselves, shown among its metrics."""

from __future__ import annotations

from engine.control.amqp import AmqpFace
from engine.control.feed import Feed
from engine.control.metrics import Metrics
from engine.core.control import CallControl
from engine.runtime.door import Door
from engine.runtime.pacing import Pacer
from engine.runtime.reaper import Reaper
from engine.sip.port import SipPort
from engine.store.journal import Journal


def show_gauges(
    metrics: Metrics,
    control: CallControl,
    sip: SipPort,
    feed: Feed,
    journal: Journal,
    reaper: Reaper,
    door: Door,
    pacer: Pacer,
) -> None:
    """Add the series of the parts; they are read when somebody asks for the metrics."""
    gauge, counter, stats = metrics.gauge, metrics.counter, sip.stats
    gauge("legs_active", "Legs that live, by state", control.leg_states, "state")
    gauge("originates_active", "Requests without terminal event", lambda: control.originates)
    gauge("rtp_ports_in_use", "Pairs of RTP ports in use", lambda: stats().media_ports)
    gauge("sip_transactions", "SIP transactions in memory", lambda: stats().transactions)
    gauge("sip_dialogs", "SIP dialogs in memory", lambda: stats().dialogs)
    gauge("sip_mailbox_depth", "Events of the stack not taken", lambda: stats().mailbox)
    gauge("journal_backlog", "Rows that the database has not yet", lambda: journal.backlog)
    gauge("events_outbox_depth", "Events not told to every consumer", lambda: journal.outbox_lag)
    gauge("ws_subscribers", "Open subscriptions of the event stream", lambda: feed.readers)
    counter("events", "Events told, counted over restarts", lambda: feed.last_sequence)
    counter("originate_rejected", "Requests refused, by why", lambda: door.rejected, "reason")
    gauge("admission_limit", "Requests a second that are let in", lambda: door.limit)
    gauge("loop_lag_seconds", "How late the event loop was last", lambda: door.lag_s)
    gauge("pacing_waiting", "INVITEs that wait for their turn", lambda: len(pacer.waiting))
    counter("pacing_refused", "INVITEs beyond the limits of a carrier", lambda: pacer.refused)
    counter("sip_cancel_race", "Answers that crossed our CANCEL", lambda: stats().cancel_races)
    counter("sip_glare", "Our re-INVITEs that crossed one", lambda: stats().glares)
    counter(
        "rtp_packets_relayed", "RTP and RTCP packets passed on", lambda: stats().relayed_packets
    )
    counter("stack_logs_dropped", "Traces and log lines dropped", lambda: stats().dropped)
    counter("journal_rejected", "Rows the database refused for good", lambda: journal.rejected)
    counter(
        "zombie_legs_reaped",
        "Legs that only the stack or only call control had; must stay 0",
        lambda: reaper.reaped.stack_legs + reaper.reaped.control_legs,
    )


def show_bus(metrics: Metrics, bus: AmqpFace) -> None:
    """Add the series of the message bus."""
    link = bus.link
    metrics.gauge("amqp_connected", "1 while the broker is there", lambda: link.connected)
    metrics.gauge("amqp_unconfirmed", "Messages not confirmed yet", lambda: link.unconfirmed)
    metrics.counter("amqp_published", "Messages the broker has confirmed", lambda: link.published)
    metrics.counter("amqp_returned", "Messages that nobody listened for", lambda: link.returned)
    metrics.counter("amqp_reconnects", "Connections made anew", lambda: link.reconnects)
