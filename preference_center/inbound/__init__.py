"""The room for news that comes in: opt-outs by mail, and the webhooks of connected tools."""

from __future__ import annotations

from preference_center.inbound.burst_commands import bursts
from preference_center.inbound.commands import group
from preference_center.inbound.event_commands import events
from preference_center.inbound.queue_commands import queue
from preference_center.inbound.spooling import SPOOLED, record_spooled
from preference_center.inbound.taking import receive_mail
from preference_center.inbound.webhooks import blueprint

__all__ = ["SPOOLED", "blueprint", "group", "receive_mail", "record_spooled"]

group.add_command(bursts)
group.add_command(events)
group.add_command(queue)
