"""Benchmarks, one file each: `run()` measures and returns results with `to_dict()` and a readable `str`.

`timing.py` holds how the time of short calls is measured. `minicnn bench NAME` runs what is listed here.
"""

BENCHMARKS = {
    "convolutions": "convolutions drawn from a seed, against PyTorch in both of its layouts",
    "gradcheck": "the gradient checker on planted mistakes, beside PyTorch's",
    "layers": "each layer of the networks alone, against PyTorch, and its share of the multiply-add peak",
    "tape": "one addition of ten numbers, recorded and swept, against np.add",
    "step": "training steps and forward passes, against PyTorch in both of its layouts",
}
