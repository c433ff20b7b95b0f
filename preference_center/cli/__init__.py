"""Commands for operators, support and deployment: `flask --help` lists them."""

from __future__ import annotations

from flask import Flask

from preference_center.cli.addresses import addresses
from preference_center.cli.catalogue import catalogue
from preference_center.cli.contacts import group as contacts
from preference_center.cli.destination_status import replay
from preference_center.cli.destinations import destinations
from preference_center.cli.export import export
from preference_center.cli.feed import feed
from preference_center.cli.imports import imports
from preference_center.cli.inbound import group as inbound
from preference_center.cli.inbound_bursts import bursts
from preference_center.cli.inbound_events import events
from preference_center.cli.inbound_queue import queue
from preference_center.cli.keys import keys
from preference_center.cli.link_keys import link_key, link_keys, revoke_link_key
from preference_center.cli.links import links
from preference_center.cli.mailcheck import check_domain, check_mail
from preference_center.cli.opt_out import opt_out
from preference_center.cli.receipts import receipts
from preference_center.cli.scrub import scrub_
from preference_center.cli.snapshot import snapshot
from preference_center.cli.spool import spool_group as spool
from preference_center.cli.syncs import syncs
from preference_center.cli.unsubscribe_survey import unsubscribe_survey


def register(app: Flask) -> None:
    """Give the app its commands."""
    for command in (link_key, link_keys, revoke_link_key):
        keys.add_command(command)
    for command in (bursts, events, queue, replay):
        inbound.add_command(command)
    for command in (
        addresses,
        catalogue,
        check_domain,
        check_mail,
        contacts,
        destinations,
        export,
        feed,
        imports,
        inbound,
        keys,
        links,
        opt_out,
        unsubscribe_survey,
        receipts,
        scrub_,
        snapshot,
        spool,
        syncs,
    ):
        app.cli.add_command(command)
