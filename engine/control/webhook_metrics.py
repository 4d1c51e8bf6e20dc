"""What webhooks count, among the metrics of the engine."""

from __future__ import annotations

from engine.control.metrics import Metrics
from engine.control.webhooks import Webhooks


def show_webhooks(metrics: Metrics, webhooks: Webhooks) -> None:
    """Add the series of webhooks; they are read when somebody asks for the metrics."""
    webhooks.observe = metrics.webhook.observe
    gauge, counter = metrics.gauge, metrics.counter
    counter(
        "webhook_delivery", "Attempts, by HTTP status (0: none)", lambda: webhooks.codes, "code"
    )
    counter("webhook_given_up", "Deliveries given up", lambda: webhooks.given_up)
    gauge("webhook_waiting", "Deliveries not made yet", lambda: webhooks.waiting)
    gauge("webhook_probing", "Webhooks whose target counts as down", lambda: webhooks.probing)
    gauge("webhook_lag", "Events not yet delivered or stored", lambda: webhooks.lag)
