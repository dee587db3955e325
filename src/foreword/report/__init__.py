"""The report: what was measured, as one HTML file that opens offline.

`write` takes plain figures (core records) and draws them; it computes no
figure of its own, so a number on the page is the number in summary.json.
"""

from __future__ import annotations

from foreword.report.comparison import write_comparison
from foreword.report.page import Page, Transcript, write

__all__ = ["Page", "Transcript", "write", "write_comparison"]
