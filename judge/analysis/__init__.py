"""From stored judgments to one `Results` object that every report is drawn from."""
