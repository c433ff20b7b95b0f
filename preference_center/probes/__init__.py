"""What monitoring and orchestrators ask: probes and metrics."""

from __future__ import annotations
