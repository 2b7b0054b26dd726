"""One `Results` object drawn as a page, tables and files."""

from judge.report.html import render_html
from judge.report.table import terminal_table
from judge.report.write import ReportFiles, write_report

__all__ = ["ReportFiles", "render_html", "terminal_table", "write_report"]
