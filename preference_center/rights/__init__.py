"""Requests of data subjects, of agents and about minors; erasure, restriction, holds, retention."""
