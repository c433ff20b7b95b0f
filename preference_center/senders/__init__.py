"""What senders use besides decisions: keys, opt-outs and suppressions by API, links."""
