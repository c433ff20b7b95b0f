"""Judging what is really out there: a mail that was sent, and the hosts that links lead to.

Nothing here changes anything. Findings never hold an address or a token (I12).
"""

from preference_center.mailcheck.findings import Finding, Severity
from preference_center.mailcheck.hosts import judge_host
from preference_center.mailcheck.message import Ours, judge_mail

__all__ = ["Finding", "Ours", "Severity", "judge_host", "judge_mail"]
