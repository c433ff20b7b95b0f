"""One integration as data: what the registry lists, and where its parts are loaded from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, cast

from preference_center.core.errors import ConfigError

if TYPE_CHECKING:
    from preference_center.integrations.base.presets import ImportPreset
    from preference_center.integrations.base.spec import ConnectorSpec
    from preference_center.integrations.base.vendor_events import WebhookVerifier


class IntegrationError(ConfigError):
    """A package's integration can't be loaded, or its name is taken; names the package."""


@dataclass(frozen=True, slots=True)
class Integration:
    """`INTEGRATION` of a vendor's package, or of another distribution's entry point.

    `connector`, `webhook` and `import_presets` are object references as in entry points,
    `package.module:attribute`, so that listing integrations imports no vendor's module.
    """

    kind: str
    """Unique: `--kind` of `flask destinations add`, stored with each destination."""
    title: str
    """Name for users."""
    connector: str
    """A `ConnectorSpec` of this kind."""
    webhook: str = ""
    """A class that implements `WebhookVerifier`; it is called without arguments."""
    import_presets: str = ""
    """A sequence of `ImportPreset`."""

    def load_spec(self) -> ConnectorSpec:
        """The connector's description. Raises IntegrationError if its kind is another."""
        spec = cast("ConnectorSpec", _resolve(self.connector))
        if spec.kind != self.kind:
            raise IntegrationError(
                f"{self.connector} is of the kind {spec.kind!r}, and not {self.kind!r}"
            )
        return spec

    def load_webhook(self) -> WebhookVerifier | None:
        """Its webhook; None if it has none. Raises IntegrationError."""
        return _webhook(self.webhook) if self.webhook else None

    def load_import_presets(self) -> tuple[ImportPreset, ...]:
        """Its import presets, if it has any. Raises IntegrationError."""
        return tuple(_resolve(self.import_presets)) if self.import_presets else ()

    def load_settings(self) -> Mapping[str, str]:
        """All settings of a destination, the webhook's included: name -> what it is.

        A name that ends in `?` is optional. Raises IntegrationError.
        """
        webhook = self.load_webhook()
        return {**self.load_spec().settings, **(webhook.settings if webhook else {})}

    def load_secret_settings(self) -> frozenset[str]:
        """Names of the settings that are never displayed. Raises IntegrationError."""
        webhook = self.load_webhook()
        return self.load_spec().secret_settings | (
            webhook.secret_settings if webhook else frozenset()
        )


@cache
def _webhook(reference: str) -> WebhookVerifier:
    return cast("WebhookVerifier", _resolve(reference)())


def _resolve(reference: str) -> Any:
    try:
        return resolve_name(reference)
    except (ImportError, AttributeError, ValueError) as error:
        raise IntegrationError(f"{reference} can't be loaded: {error}") from error
