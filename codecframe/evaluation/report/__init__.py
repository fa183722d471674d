"""Reports: what was measured and chosen, as plots, contact sheets and pages."""

from codecframe.evaluation.report.page import Report, is_page, make_report
from codecframe.evaluation.report.plot import Plot, measure_of, rate_accuracy_plot, series_plot
from codecframe.evaluation.report.series import Series, Spot, series_of
from codecframe.evaluation.report.sheet import SheetRow, Shown, contact_sheet, says

__all__ = [
    "Plot",
    "Report",
    "Series",
    "SheetRow",
    "Shown",
    "Spot",
    "contact_sheet",
    "is_page",
    "make_report",
    "measure_of",
    "rate_accuracy_plot",
    "says",
    "series_of",
    "series_plot",
]
