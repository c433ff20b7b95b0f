"""What senders use: keys, opt-outs and suppressions by API, links, the check of a mail."""
