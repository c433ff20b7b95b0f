"""The rules that decide whether a message may go to an address; `decisions` applies them."""

from __future__ import annotations

from enum import StrEnum


class DecisionRule(StrEnum):
    """The rule that decided."""

    CLOSED = "closed"
    """The account is deactivated or erased (I4)."""
    AFTER_CLOSING = "after_closing"
    """Service mail that may go out even after the account was closed (I4)."""
    SERVICE = "service"
    """Service mail, which no marketing opt-out stops (I4)."""
    RESTRICTED = "restricted"
    """The person limits the use of their data: no marketing until they end that."""
    OPTED_OUT_OF_TOPIC = "opted_out_of_topic"
    OPTED_OUT_OF_ALL_MARKETING = "opted_out_of_all_marketing"
    OPTED_OUT_OF_SHARING = "opted_out_of_sharing"
    """Of sale and sharing: no rule about messages, but about what is done with the data."""
    COMPLAINED = "complained"
    BOUNCED = "bounced"
    PAUSED = "paused"
    NO_CONSENT = "no_consent"
    """The topic is opt-in, and there is no evidence that the person asked for it (I11)."""
    RETIRED_TOPIC = "retired_topic"
    CONSENTED = "consented"
    NOT_OPTED_OUT = "not_opted_out"
    UNPARSEABLE_ADDRESS = "unparseable_address"
    UNREADABLE_LINE = "unreadable_line"
    """In a streamed list, a line that holds no recipient to decide about (I11)."""
    UNKNOWN_MESSAGE_TYPE = "unknown_message_type"
    WRONG_CHANNEL = "wrong_channel"
    """The topic belongs to another channel than the address."""
