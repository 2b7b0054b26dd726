"""Scores emotionally supportive role-playing dialogues with a local judge LLM.

The way of the data, one module each: `dialogues` are read, `rubric` renders them into
prompts, an engine of `engines` reads the label probabilities, `store` keeps them, `analysis`
sums them up and `report` draws them. `pipeline` goes that way; `cli` is the command line.
"""

__version__ = "0.1.0"
