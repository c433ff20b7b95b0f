"""What the user of REDIS_URL needs, and no more: the keys of the queue and of rate limits."""

from __future__ import annotations

KEYS = ("rq:*", "LIMITS:*", "rate_limit:*")
"""The queue's (RQ), those of limits on requests (limits), and those of destinations' rates."""
CHANNELS = ("rq:pubsub:*",)
"""On which RQ sends commands to its workers."""
COMMANDS = (
    # Whatever is done with values of these kinds ends at the keys above.
    *("+@hash", "+@list", "+@set", "+@sortedset", "+@stream", "+@string"),
    *("+del", "+exists", "+expire", "+persist", "+pttl", "+rename", "+ttl", "+type"),
    *("+@transaction", "+eval", "+evalsha", "+script|load", "+time"),
    *("+publish", "+subscribe", "+unsubscribe"),
    *("+auth", "+client|setinfo", "+hello", "+ping", "+select"),
    "-@dangerous",
    "+info",  # the version and whether it is a cluster; a dangerous one
)


def acl_rule(user: str) -> str:
    """The command that gives `user` these rights, and takes away others; no password."""
    keys = (f"~{pattern}" for pattern in KEYS)
    channels = (f"&{pattern}" for pattern in CHANNELS)
    rules = ("resetkeys", *keys, "resetchannels", *channels, "-@all", *COMMANDS)
    return " ".join(("ACL SETUSER", user, *rules))
