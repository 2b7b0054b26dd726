"""What an author pastes into a paper: tables, a methods section and references."""

from judge.report.paper.write import write_comparison_tables, write_paper

__all__ = ["write_comparison_tables", "write_paper"]
