"""Erasure here and in the tools, its journal, and the replay after a restore."""
