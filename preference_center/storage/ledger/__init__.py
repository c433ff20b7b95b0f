"""Reading addresses, events and the suppressions derived from them."""
