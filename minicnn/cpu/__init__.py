"""The fast implementation for the `cpu` device: the functions of `minicnn.ops` once more, in Numba.

Read `threads.py` (how a kernel is written and run), `vectors.py` and `microkernel.py` (how it gets fast),
then any family, for instance `conv.py`. Nothing here is imported before a kernel is first needed.
"""
