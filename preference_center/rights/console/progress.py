"""Say in words how far a request is: its clock, its steps, and the tools of an erasure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never

from flask_babel import format_date, ngettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from preference_center.destinations.rules.erase_task import TaskOutcome
from preference_center.infra.outbox import SendResult
from preference_center.rights.erasure.tasks import ErasureTask
from preference_center.rights.requests.steps import read_proposal
from preference_center.rights.requests.store import RightsStep
from preference_center.rights.rules.decisions import Decision, Proposal
from preference_center.rights.rules.identity import ProofKind
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    AskedFact,
    ExtensionReason,
    IdentityLevel,
    RefusalGround,
    RequestOutcome,
    StepAction,
)
from preference_center.rights.words import in_words

_HOUR = timedelta(hours=1)
_IN_HOURS_BELOW = timedelta(days=2)


def step_words(action: str) -> str:
    """What happened; an unknown action as it is stored."""
    words: Mapping[str, LazyString] = {
        StepAction.RECEIVED: _("Received"),
        StepAction.REPEATED: _("The same request came again"),
        StepAction.RECEIPT_CONFIRMED: _("Receipt confirmed to the person"),
        StepAction.IDENTITY_ASKED: _("Asked for proof of identity"),
        StepAction.IDENTITY_CONFIRMED: _("Identity confirmed"),
        StepAction.IDENTITY_FAILED: _("A check of identity failed"),
        StepAction.CONTRADICTED: _("The holder of the address says that the report is wrong"),
        StepAction.PROOF_ADDED: _("File added"),
        StepAction.AUTHORITY_REMINDED: _("Asked the person about the agent once more"),
        StepAction.AUTHORITY_ACCEPTED: _("The agent’s authority accepted"),
        StepAction.AUTHORITY_REJECTED: _("The agent’s authority not accepted"),
        StepAction.EXTENDED: _("Time extended"),
        StepAction.REMINDED: _("The company was reminded"),
        StepAction.MERGED: _("Merged with another contact’s request"),
        StepAction.DONE: _("Fulfilled"),
        StepAction.REFUSED: _("Refused"),
        StepAction.WITHDRAWN: _("Withdrawn"),
        StepAction.LAPSED: _("Lapsed, since the proof did not come"),
        StepAction.FORGOTTEN: _("Wiped: its time of keeping is over"),
        StepAction.TEXT_READ: _("The text was read"),
        StepAction.PROOF_READ: _("Saved a file"),
        StepAction.PROOF_DELETED: _("Deleted a file"),
        StepAction.DECISION_PROPOSED: _("Proposed a decision"),
        StepAction.DECISION_DECLINED: _("Proposal declined"),
        StepAction.FILE_DOWNLOADED: _("File downloaded"),
        StepAction.CONSENT_RETRACTED: _("Consent retracted"),
    }
    return str(words.get(action, action))


def mail_words(result: str) -> str:
    """What became of the mail about a step; empty before it was tried."""
    words: Mapping[str, LazyString] = {
        "": _("waits to be sent"),
        SendResult.SENT: _("mailed"),
        SendResult.REFUSED: _("mail rejected: write a letter"),
        SendResult.EXPIRED: _("mail expired: write a letter"),
        SendResult.CANCELLED: _("mail cancelled"),
        SendResult.STOPPED: _("wants no such mails"),
    }
    return str(words.get(result, result))


def actor_words(actor: str) -> str:
    """Who took a step."""
    words: Mapping[str, LazyString] = {
        "person": _("the person"),
        "agent": _("the agent"),
        "sender": _("the person, by mail"),
        "service": _("this service"),
    }
    return str(words.get(actor, actor))


def proposal_words(proposal: Proposal) -> str:
    """What somebody proposed."""
    match proposal.decision:
        case Decision.REFUSE:
            assert proposal.ground
            return str(_("to refuse it: %(ground)s", ground=in_words(proposal.ground)))
        case Decision.FULFIL:
            assert proposal.outcome
            if proposal.outcome is RequestOutcome.FULFILLED:
                return str(_("to fulfil it"))
            return str(_("to fulfil it: %(outcome)s", outcome=in_words(proposal.outcome)))
        case _:
            assert_never(proposal.decision)


def detail_words(step: RightsStep) -> str:
    """What a step says besides its action; empty where that is all."""
    detail = step.detail
    match step.action:
        case StepAction.IDENTITY_CONFIRMED | StepAction.IDENTITY_FAILED:
            level = detail.get("level")
            said = [in_words(IdentityLevel(level))] if level is not None else []
            return ", ".join(said + [in_words(AskedFact(fact)) for fact in detail["facts"]])
        case StepAction.EXTENDED:
            return in_words(ExtensionReason(detail["reason"]))
        case StepAction.REFUSED:
            return in_words(RefusalGround(detail["ground"]))
        case StepAction.DONE:
            return in_words(RequestOutcome(detail["outcome"]))
        case StepAction.PROOF_ADDED:
            return in_words(ProofKind(detail["kind"]))
        case StepAction.AUTHORITY_ACCEPTED:
            return str(_("the agent gets the results")) if detail["results_to_agent"] else ""
        case StepAction.DECISION_PROPOSED:
            proposal = read_proposal(step)
            assert proposal
            return proposal_words(proposal)
        case _:
            return ""


def task_words(task: ErasureTask) -> str:
    """How far an erasure is in one tool."""
    ended: Mapping[TaskOutcome, LazyString] = {
        TaskOutcome.ERASED: _("erased"),
        TaskOutcome.ABSENT: _("did not have the person"),
        TaskOutcome.NOTHING_HELD: _("holds nothing but the suppression"),
        TaskOutcome.BY_HAND: _("done by hand"),
        TaskOutcome.REPLACED: _("a later erasure goes further"),
        TaskOutcome.RETURNED: _("the person came back before"),
    }
    if task.outcome:
        return str(ended[TaskOutcome(task.outcome)])
    if task.by_hand_since:
        return str(_("waits for a person: %(reason)s", reason=task.reason))
    if task.erased_at:
        return str(_("erased, to be read back"))
    return str(_("suppressed, to be erased") if task.suppressed_at else _("to be suppressed first"))


def clock_words(request: RightsRequest, now: datetime) -> str:
    """How much time is left by law; how it ended, of a closed one."""
    if request.closed_at:
        return str(_("ended on %(day)s", day=day_words(request.closed_at)))
    if request.stopped_at:
        left = _span(request.deadline - request.stopped_at)
        since = day_words(request.stopped_at)
        return str(_("clock stopped since %(day)s, %(time)s left", day=since, time=left))
    day = day_words(request.deadline)
    if request.deadline <= now:
        late = _span(now - request.deadline)
        return str(_("%(time)s late, by law due on %(day)s", time=late, day=day))
    left = _span(request.deadline - now)
    if request.extended_to:
        return str(_("due in %(time)s, extended to %(day)s", time=left, day=day))
    return str(_("due in %(time)s, by law on %(day)s", time=left, day=day))


def _span(span: timedelta) -> str:
    if span < _IN_HOURS_BELOW:
        hours = max(0, span // _HOUR)
        return str(ngettext("%(num)d hour", "%(num)d hours", hours))
    return str(ngettext("%(num)d day", "%(num)d days", span.days))


def day_words(at: datetime) -> str:
    """A day, as in a table."""
    return str(format_date(at, "d MMM y"))
