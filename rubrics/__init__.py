"""The rubric sets, as data: one folder each, with `rubric.toml`, characters and templates.

`esrp` is the version that is used unless another is asked for, `esrp@1.2.0` another one.

There is no code here. The package exists so that the sets are installed with the program.
"""
