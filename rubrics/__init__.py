"""The rubric sets, as data: one folder each, with `rubric.toml`, characters and templates.

There is no code here. The package exists so that the sets are installed with the program.
"""
