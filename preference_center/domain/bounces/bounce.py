"""What somebody says about a mail that did not arrive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounce:
    """One report about one recipient, in the words of a mail server or a vendor.

    `text` may quote an address: it is for judging, and is neither stored nor logged (I12).
    """

    status: str = ""
    """Enhanced status code, `5.1.1` (RFC 3463); "" if there is none."""
    reply_code: str = ""
    """SMTP reply code, `550` (RFC 5321)."""
    diagnostic: str = ""
    """The diagnostic text."""
    permanent: bool | None = None
    """The vendor's own verdict, where it has one."""
    rejected_at_rcpt: bool = False
    """Whether the recipient was refused, and not the mail (RFC 5321 3.3), where that is told."""
