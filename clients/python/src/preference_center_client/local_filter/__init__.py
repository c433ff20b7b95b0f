"""Answers "surely allowed" without asking the service, and asks about the rest.

    filter = LocalFilter(client, os.environ["DIGEST_KEYS"])
    filter.start()  # reads the digests, then what is new every five seconds
    sending = Sending(filter, service_types={"password_reset"})

Needs numpy: `pip install 'preference-center-client[filter]'`. docs/decisions/0089 of the service
has the reasons.
"""

from preference_center_client.local_filter.digests import (
    DigestKeys,
    DigestKeysMismatch,
    PreparedAddresses,
)
from preference_center_client.local_filter.filter import LocalFilter

__all__ = ["DigestKeys", "DigestKeysMismatch", "LocalFilter", "PreparedAddresses"]
