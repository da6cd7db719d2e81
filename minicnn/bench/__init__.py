"""Benchmarks, one file each: `run()` measures and returns results with `to_dict()` and a readable `str`.

`timing.py` holds how the time of short calls is measured. `minicnn bench NAME` runs what is listed here.
"""

BENCHMARKS = {
    "counted": "cuda:sim: bytes, sectors, bank conflicts, operations of each kernel; estimates for A100 and H100",
    "convolutions": "convolutions drawn from a seed, against PyTorch in both of its layouts",
    "gpu": "cuda: layers against PyTorch with cuDNN, TF32 off; needs a GPU",
    "gradcheck": "the gradient checker on planted mistakes, beside PyTorch's",
    "layers": "each layer of the networks alone, against PyTorch, and its share of the multiply-add peak",
    "tape": "one addition of ten numbers, recorded and swept, against np.add",
    "step": "training steps and forward passes, against PyTorch in both of its layouts",
}

BY_DEVICE = {"cuda:sim": "counted", "cuda": "gpu", "cpu": "layers"}
