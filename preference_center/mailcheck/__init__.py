"""Judging what is really out there: a mail that was sent, and the hosts that links lead to.

Nothing here changes anything. Findings never hold an address or a token (I12).
"""

from preference_center.mailcheck.findings import Finding, Severity
from preference_center.mailcheck.hosts import check_host
from preference_center.mailcheck.message import Installation, check_email

__all__ = ["Finding", "Installation", "Severity", "check_email", "check_host"]
