"""Benchmarks, one file each: `run()` measures and returns results with `to_dict()` and a readable `str`.

`timing.py` holds how time is measured. `minicnn bench NAME` runs them.
"""
