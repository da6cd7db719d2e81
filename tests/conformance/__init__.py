"""Samples that others wrote: PyTorch's for its own operators, ONNX's for its nodes; run with `make conformance`.

Each sample ends in one of three ways. *passed*: values, types, shapes and gradients are those of the other side.
*refused*: an error of `minicnn.errors` which `refusals.py` lists with the reason why the sample is outside of what
minicnn promises. *wrong*: everything else, a refusal without such a reason included.
"""
