"""File drop: suppressions as files in a folder, on SFTP or on S3."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="file_drop",
    title="File drop (CSV)",
    connector=f"{__name__}.connector:SPEC",
)
