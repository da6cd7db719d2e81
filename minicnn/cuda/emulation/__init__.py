"""Runs CUDA kernels on the CPU, thread by thread, and says what is wrong with them.

    with emulation.checking():           # or MINICNN_SIM_CHECK=1: watch every load and store
        F.relu(x)
    with emulation.counting() as counted:
        F.relu(x)                        # counted[0]: bytes, sectors, bank conflicts, operations

`build.py` compiles a kernel file with g++ behind the header `cuda_on_cpu.h`; `process.py` runs it in a helper process
(`worker.py`), so that a wild or endless kernel ends in a message; `runtime.cpp` schedules the threads and checks;
`counting.h` and `arithmetic.py` count.
"""

from .process import checking, counting, last_block, launch, only_blocks
from .sparse import Sparse

__all__ = ["Sparse", "checking", "counting", "last_block", "launch", "only_blocks"]
