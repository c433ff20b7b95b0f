"""Meta: custom audiences of an ad account."""

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration.of_package(__name__, "Meta custom audiences")
