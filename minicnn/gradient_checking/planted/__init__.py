"""The examples of `mutants.py`, by family."""
