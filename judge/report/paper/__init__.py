"""What an author pastes into a paper: tables, a methods section and references."""

from judge.report.paper.comparison import few_to_exchange
from judge.report.paper.write import write_comparison_tables, write_paper

__all__ = ["few_to_exchange", "write_comparison_tables", "write_paper"]
