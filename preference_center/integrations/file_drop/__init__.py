"""File drop: suppressions as files in a folder, on SFTP or on S3."""

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration.of_package(__name__, "File drop (CSV)")
