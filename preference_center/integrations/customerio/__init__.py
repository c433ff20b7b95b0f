"""Customer.io."""

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration.of_package(__name__, "Customer.io", webhook="CustomerIoWebhookSource")
