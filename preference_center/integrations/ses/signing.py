"""Signature Version 4 of requests to AWS, with botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
Importing this module needs the extra `ses`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig

# botocore logs what it signs, addresses included, at DEBUG (I12).
logging.getLogger("botocore.auth").addFilter(lambda _: False)

KEY_SETTINGS = ("access_key_id", "secret_access_key")


class AwsRequestSigner:
    """Signs with a destination's key, or with the role of the worker."""

    def __init__(self, config: DestinationConfig) -> None:
        self._config = config

    def sign(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        """Headers that sign a request. Raises DeliveryError (permanent) without a key."""
        request = AWSRequest(method, url, {"Content-Type": "application/json"}, body)
        SigV4Auth(self._get_credentials(), "ses", self._config.settings["region"]).add_auth(request)
        return dict(request.headers.items())

    def sign_s3(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """The same for a request to S3, which requires the body's digest to be signed, too."""
        request = AWSRequest(method, url, {"Content-Type": "application/json"}, body)
        S3SigV4Auth(self._get_credentials(), "s3", self._config.settings["region"]).add_auth(
            request
        )
        return dict(request.headers.items())

    def _get_credentials(self) -> Credentials:
        key, secret = (self._config.settings.get(name) for name in KEY_SETTINGS)
        if key and secret:
            return Credentials(key, secret)
        try:
            found = Session().get_credentials()
        except BotoCoreError:
            found = None
        if found is None:
            raise DeliveryError(
                f"{self._config.name}: no key is set, and the worker has no role", permanent=True
            )
        return found.get_frozen_credentials()
