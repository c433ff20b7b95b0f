"""What only developers in a checkout start: `dev` itself is in the wheel, this folder is not."""
