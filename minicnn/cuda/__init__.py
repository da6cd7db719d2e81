"""The devices `cuda` and `cuda:sim`: the operations of `minicnn/ops/` as launches of the kernels in `kernels/`.

`minicnn/cuda/<family>.py` holds the twins of `minicnn/ops/<family>.py` and a table that says how each kernel of
`kernels/<family>.cu` is launched. Where the arrays are CuPy's the kernels run on the GPU (`gpu.py`), where they are
NumPy's they run on the CPU, thread by thread (`emulation/`); all else is the same for both.
"""
