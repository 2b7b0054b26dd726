"""One `Results` object drawn as a page, tables and files."""

from judge.report.run_page import ReportFiles, render_html, write_report
from judge.report.scores_table import terminal_table

__all__ = ["ReportFiles", "render_html", "terminal_table", "write_report"]
