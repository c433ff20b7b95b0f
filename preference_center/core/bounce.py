"""One report about a mail that did not arrive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounce:
    """One report about one recipient, in the words of a mail server or a vendor.

    `diagnostic` may quote an address: it is classified, and neither stored nor logged (I12).
    """

    status: str = ""
    """Enhanced status code, `5.1.1` (RFC 3463); "" if there is none."""
    reply_code: str = ""
    """SMTP reply code, `550` (RFC 5321)."""
    diagnostic: str = ""
    """The diagnostic text."""
    permanent: bool | None = None
    """Whether the vendor calls it permanent; None if it does not classify it."""
    rejected_at_rcpt: bool = False
    """Whether the recipient was refused, and not the mail (RFC 5321 3.3), where that is known."""
