"""May this message be sent to this address? `decide`, with its facts."""
