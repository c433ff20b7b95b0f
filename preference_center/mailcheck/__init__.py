"""Check what recipients and mail clients really get: a sent mail, and the hosts of its links.

The checks change nothing. Findings never contain an address or a token (I12).
"""

from preference_center.mailcheck.findings import Finding, Severity
from preference_center.mailcheck.hosts import check_host
from preference_center.mailcheck.message import Installation, check_email

__all__ = ["Finding", "Installation", "Severity", "check_email", "check_host"]
