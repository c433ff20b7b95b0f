"""Do what happens to requests by time alone; the scheduler calls `run_clocks` every minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import structlog

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.outbox import EmailKind, OutgoingEmail, insert_emails
from preference_center.rights.emails import EMAIL_LIFETIME
from preference_center.rights.requests import agents, decide, steps, store
from preference_center.rights.requests.decide import SERVICE
from preference_center.rights.requests.store import RightsStep
from preference_center.rights.rules.deadlines import request_stage
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import StepAction
from preference_center.web.languages import SOURCE_LANGUAGE, match_language

_LIMIT = 500
"""How many requests of each sort one call handles."""

log = structlog.get_logger()


def run_clocks(now: datetime) -> None:
    """Remind of requests, let those lapse that nobody proved, act, and forget old ones.

    Each request is a transaction of its own, and what fails for one is logged: it holds up no
    other. Raises Unavailable.
    """
    for request_id in run_autocommit(lambda c: store.list_woken(c, now, _LIMIT)):
        with _logged(request_id):
            _wake(request_id, now)
    kinds = decide.kinds_of_own_acts()
    for request in run_autocommit(lambda c: store.list_acting(c, kinds, now, _LIMIT)):
        with _logged(request.id):
            decide.act_if_ready(request)
    for request_id in agents.list_unanswered(now):
        with _logged(request_id):
            agents.remind_principal(request_id)
    run_in_transaction(lambda connection: _forget(connection, now))


@contextmanager
def _logged(request_id: UUID) -> Iterator[None]:
    try:
        yield
    except Unavailable:
        raise
    except Exception:
        log.exception("rights_clock_failed", request=str(request_id))


def _wake(request_id: UUID, now: datetime) -> None:
    def write(connection: Connection) -> None:
        request = store.load_request(connection, request_id, for_update=True)
        if request is None or request.next_at is None or request.next_at > now:
            return  # somebody else did
        if request.lapses_at is not None and request.lapses_at <= now:
            lapsed = request.lapse(now)
            steps.store_change(connection, lapsed, SERVICE, StepAction.LAPSED)
        else:
            _remind(connection, request, now)

    run_in_transaction(write)


def _remind(connection: Connection, request: RightsRequest, now: datetime) -> None:
    """Inform the company by log, webhook and mail that time runs out."""
    catalogue = current_catalogue_or_empty()
    stage = request_stage(
        request.received_at, request.deadline, now, target=catalogue.rights.target
    )
    steps.store_change(
        connection, request.schedule(now), SERVICE, StepAction.REMINDED, {"stage": stage}
    )
    log.warning("rights_request_waits", request=str(request.id), kind=request.kind, stage=stage)
    context, controller = services(), catalogue.controller
    if controller is None or context.settings.mail_server is None:
        return
    email = OutgoingEmail(
        id=context.new_id(),
        kind=EmailKind.RIGHTS_REMINDER,
        recipient=parse_address(controller.privacy_contact, Channel.EMAIL),
        language=match_language(catalogue.default_language) or SOURCE_LANGUAGE,
        brand=None,
        values={
            "reference": request.reference,
            "right": request.kind.value,
            "due": request.deadline.isoformat(),
        },
        expires_at=now + EMAIL_LIFETIME,
    )
    insert_emails(connection, [email])


def _forget(connection: Connection, now: datetime) -> None:
    store.forget_unanswered(connection, now)
    for request_id in store.forget_requests(connection, now, _LIMIT):
        step = RightsStep(now, SERVICE, StepAction.FORGOTTEN)
        store.insert_step(connection, request_id, step)
