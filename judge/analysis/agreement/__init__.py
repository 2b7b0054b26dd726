"""Judge and people side by side, in numbers a report is drawn from."""
