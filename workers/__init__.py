"""Workers: what moves opt-outs into the connected tools."""
