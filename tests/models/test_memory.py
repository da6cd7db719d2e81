import subprocess
import sys
from pathlib import Path

import pytest

STEP = """
import numpy as np
import minicnn as mc
import minicnn.functional as F
from minicnn import models

model = models.resnet152()
pictures = np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32)
for _ in range(2):
    model.zero_grad()
    F.cross_entropy(model(mc.tensor(pictures)), mc.tensor([1, 2])).backward()
assert all(p.grad is not None for p in model.parameters())
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))  # the most resident memory, in kB
"""


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's memory there")
def test_resnet152_forward_and_backward_fit_into_4_gigabytes():
    """Two pictures of 224 × 224, float32, default settings; a process of its own, since a process's peak stays."""
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 <= 4e9
