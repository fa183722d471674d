"""Reports: what was measured and chosen, as plots, contact sheets and pages."""

from codecframe.report.page import html
from codecframe.report.plot import Plot, rate_accuracy_plot
from codecframe.report.sheet import SheetRow, Shown, contact_sheet, says

__all__ = ["Plot", "SheetRow", "Shown", "contact_sheet", "html", "rate_accuracy_plot", "says"]
