"""The pages on which people use their rights."""
