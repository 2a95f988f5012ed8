"""The γ explorer: one component for every page about γ, alive without a kernel. What it counts by lives in `analysis`."""

from bnlib.report.explorer.content import shown
from bnlib.report.explorer.page import Explorer, gamma

__all__ = ["Explorer", "gamma", "shown"]
