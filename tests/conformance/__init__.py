"""Samples that others wrote: PyTorch's for its own operators, ONNX's for its nodes; run with `make conformance`.

Each sample ends in one of three ways. *passed*: values, types, shapes and gradients are those of the other side.
*refused*: an error of `minicnn.errors` which `refusals.py` lists with the reason why the sample is outside of what
minicnn promises. *wrong*: everything else, a refusal without such a reason included.

PyTorch also has samples that it refuses itself. There *passed* means that minicnn refuses them, too, in words of its
own, and *refused* is a difference that `refusals.py` lists with its reason.
"""
