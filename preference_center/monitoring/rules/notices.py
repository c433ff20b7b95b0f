"""What somebody must learn of, by its kind, and the words of its notices.

docs/monitoring.md says what to do about each. Pure: no I/O and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertKind(StrEnum):
    """What an alert is about."""

    DATABASE_UNAVAILABLE = "database_unavailable"
    SCHEDULER_SILENT = "scheduler_silent"
    """It runs, and does not get to looking for due work."""
    HOUSEKEEPING_FAILS = "housekeeping_fails"
    """It looks for due work, but what it does once a minute fails."""
    REDIS_UNUSABLE = "redis_unusable"
    NO_WORKER = "no_worker"
    """Nobody takes the jobs of a queue; without a subject those of any."""
    OPT_OUTS_WAIT = "opt_outs_wait"
    """15 minutes have passed since something was received that some tool does not reflect."""
    JOBS_FAIL = "jobs_fail"
    """With the name of the job that failed with an error of ours, or whose worker was killed."""
    ADDRESSES_REFUSED = "addresses_refused"
    """A tool refuses an opt-out for an address."""
    TOOL_KNOWS_NOBODY = "tool_knows_nobody"
    """A tool knows none of the addresses that were pushed to it last."""
    READING_FAILS = "reading_fails"
    """15 minutes have passed since a reading of a tool began that fails."""
    WEBHOOKS_UNVERIFIED = "webhooks_unverified"
    VENDOR_EVENTS_WAIT = "vendor_events_wait"
    """15 minutes have passed since a tool reported what is not processed, or not understood."""
    DRIFT_REPEATS = "drift_repeats"
    """A tool loses again what it had lost and was pushed again."""
    WORK_AT_RISK = "work_at_risk"
    """36 hours have passed since something was received that some tool does not reflect."""
    WORK_LATE = "work_late"
    """48 hours or more."""
    RIGHTS_DUE_SOON = "rights_due_soon"
    RIGHTS_OVERDUE = "rights_overdue"
    EMAIL_STUCK = "email_stuck"
    COMPANY_WEBHOOKS_FAIL = "company_webhooks_fail"
    ERASURES_NOT_IN_JOURNAL = "erasures_not_in_journal"
    ERASURE_JOURNAL_CLOSED = "erasure_journal_closed"
    HISTORY_LOST = "history_lost"
    KEY_ROTATION_UNFINISHED = "key_rotation_unfinished"
    FEED_HELD = "feed_held"
    """A transaction that does not end keeps changes from all readers of the feed."""
    FEED_PUBLISHER_BEHIND = "feed_publisher_behind"
    DISK_NEARLY_FULL = "disk_nearly_full"
    CLOCK_DIFFERS = "clock_differs"
    SPOOL_NOT_EMPTY = "spool_not_empty"
    SPOOL_REJECTED = "spool_rejected"
    SPOOL_DAMAGED = "spool_damaged"
    SPOOL_NOT_WRITABLE = "spool_not_writable"
    OPT_OUTS_REFUSED = "opt_outs_refused"
    SENDER_REFUSED = "sender_refused"
    """With the name of the API key."""
    LINKS_FAIL = "links_fail"
    """Of a key that LINK_KEYS lacks."""
    LINKS_UNVERIFIED = "links_unverified"
    """With the LinkKeyProblem."""
    UNKNOWN_MESSAGE_TYPE = "unknown_message_type"
    """With the name of the API key that asked."""


MESSAGES = {
    AlertKind.DATABASE_UNAVAILABLE: "The database is not available: opt-outs wait on disk.",
    AlertKind.SCHEDULER_SILENT: "The scheduler runs, but does not look for due work: see its log.",
    AlertKind.HOUSEKEEPING_FAILS: "The scheduler has deleted nothing that expired, or counted"
    " nothing, for 15 minutes: `housekeeping_failed` in its log has the cause.",
    AlertKind.REDIS_UNUSABLE: "Redis takes no jobs, so nothing is pushed: bring it back, empty or"
    " not, with memory left.",
    AlertKind.NO_WORKER: "No worker takes these jobs, so they wait: start one.",
    AlertKind.OPT_OUTS_WAIT: "Opt-outs have waited for this destination for 15 minutes or more:"
    " `flask destinations show` says why.",
    AlertKind.JOBS_FAIL: "This job of the workers fails with an error of ours, or its worker was"
    " killed: `job_failed` in their log says which. What it does waits until it succeeds.",
    AlertKind.ADDRESSES_REFUSED: "This tool refuses opt-outs for single addresses, and is tried"
    " daily: `flask destinations show` counts them, a person must help.",
    AlertKind.TOOL_KNOWS_NOBODY: "This tool knows none of the addresses that were pushed there"
    " last, which count as done: is it the right account?",
    AlertKind.READING_FAILS: "This tool can't be read, so opt-outs that people make there, and lost"
    " ones, may not be found: `flask destinations show` says why.",
    AlertKind.WEBHOOKS_UNVERIFIED: "Webhooks of this tool fail their proof and are refused, so what"
    " people do in it is lost: `webhook_unverified` in the log of web says why.",
    AlertKind.VENDOR_EVENTS_WAIT: "What this tool reported has not been processed, or not been"
    " understood, for 15 minutes or more: `flask destinations show` says why.",
    AlertKind.DRIFT_REPEATS: "This tool confirms opt-outs and loses them again, so people stay"
    " mailable there: find out who writes there, or stop sending from it.",
    AlertKind.WORK_AT_RISK: "Opt-outs have waited for 36 hours or more.",
    AlertKind.WORK_LATE: "Opt-outs have waited for 48 hours or more, longer than is accepted.",
    AlertKind.RIGHTS_DUE_SOON: "Requests of data subjects are due soon.",
    AlertKind.RIGHTS_OVERDUE: "Requests of data subjects are overdue.",
    AlertKind.EMAIL_STUCK: "Emails of ours are not sent, or most are refused: look at the mail"
    " server and the workers.",
    AlertKind.COMPANY_WEBHOOKS_FAIL: "Webhooks to RIGHTS_WEBHOOK_URL fail, about requests of data"
    " subjects or policies: `company_webhook_failed` in the log of the workers has the answer.",
    AlertKind.ERASURES_NOT_IN_JOURNAL: "The erasure journal can't be written.",
    AlertKind.ERASURE_JOURNAL_CLOSED: "The API answers nothing, since erasures of the journal are"
    " missing in the database: see `flask erasures list`.",
    AlertKind.HISTORY_LOST: "The API answers nothing, since the database was restored and lacks"
    " what was recorded since: bring back the opt-outs, then run `flask ledger accept-restore`.",
    AlertKind.KEY_ROTATION_UNFINISHED: "A change of keys is unfinished: continue it.",
    AlertKind.FEED_HELD: "An open transaction keeps changes from all readers of the feed:"
    " `flask feed status` names it.",
    AlertKind.FEED_PUBLISHER_BEHIND: "The feed is not passed on to this topic: look at the process"
    " publisher and at Kafka.",
    AlertKind.DISK_NEARLY_FULL: "The disk of a folder that we write to is nearly full.",
    AlertKind.CLOCK_DIFFERS: "The clock of this host differs from the database's: see to its NTP."
    " Acts are recorded with the database's time.",
    AlertKind.SPOOL_NOT_EMPTY: "Opt-outs have waited on the disk of this host for 5 minutes or"
    " more, though the database is there: see its log.",
    AlertKind.SPOOL_REJECTED: "The spool of this host has opt-outs that can't be recorded, or a"
    " file that can't be read.",
    AlertKind.SPOOL_DAMAGED: "The spool of this host has bytes that are no intact record.",
    AlertKind.SPOOL_NOT_WRITABLE: "In an outage of the database this host could accept no opt-outs:"
    " look at the disk of its spool.",
    AlertKind.OPT_OUTS_REFUSED: "People's opt-outs were neither recorded nor spooled by this host,"
    " and may be lost: see to the database and the disk of its spool at once.",
    AlertKind.SENDER_REFUSED: "Requests with this API key are refused: it was revoked, or lacks the"
    " scope or message type (`flask keys list`). Its sender must take that for a no.",
    AlertKind.LINKS_FAIL: "People open links of a key that LINK_KEYS lacks, so they can't opt out:"
    " put the missing key back.",
    AlertKind.LINKS_UNVERIFIED: "In an hour five links or more, or addresses for opt-outs by mail,"
    " were not signed by the key they name. Was its secret changed? Then people can't opt out. Else"
    " a program or a stranger altered them.",
    AlertKind.UNKNOWN_MESSAGE_TYPE: "This API key asks about a message type that the catalogue does"
    " not have, so all its recipients are denied.",
}


@dataclass(frozen=True, slots=True, order=True)
class Alert:
    """One condition that holds. `subject`: what it is about (a destination, a host), or empty."""

    kind: AlertKind
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are sent: an alert has begun, or it has ended."""

    alert: Alert
    has_ended: bool
    at: datetime
    detail: str = ""
    """What is known as it is sent, after its meaning."""

    @property
    def title(self) -> str:
        """One line."""
        name = ": ".join(filter(None, (self.alert.kind, self.alert.subject)))
        return f"ended: {name}" if self.has_ended else name

    @property
    def text(self) -> str:
        """What it means, and when it was noticed."""
        at = f"{self.at:%Y-%m-%d %H:%M} UTC"
        if self.has_ended:
            return f"This has {self.title}, at {at}."
        detail = f" It is {self.detail}." if self.detail else ""
        return f"{MESSAGES[self.alert.kind]}{detail} Noticed at {at}."
