"""The pages on which people exercise their rights: one question a page, no script."""
