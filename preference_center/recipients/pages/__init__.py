"""The pages behind the links of an email."""
