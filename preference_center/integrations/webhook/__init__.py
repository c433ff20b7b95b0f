"""Signed webhooks to a company's own programs."""

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration.of_package(__name__, "Webhook")
