"""File drop: suppressions as files in a folder, on SFTP or on S3."""
