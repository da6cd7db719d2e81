"""The pool: what it shares out, and that nothing makes it hang."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import threadpoolctl

from minicnn.cpu import conv, settings, threads
from minicnn.cpu.threads import flat, kernel, scratch
from minicnn.errors import MinicnnError

NONE = ((0, 0), (0, 0))


@kernel
def _mark_kernel(first, end, out, ends):
    for i in range(first, end):
        out[i] += 1
        ends[i] = end


@kernel
def _add_kernel(first, end, x, y, rounds, out):
    for i in range(first, end):
        for _ in range(rounds):
            out[i] = x[i] + y[i]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("pieces", [0, 1, 2, 7, 100])
def test_every_piece_once_in_equal_shares(count, pieces, thread_count):
    thread_count(count)
    for _ in range(50):
        out, ends = np.zeros(pieces + 1, np.int64), np.zeros(pieces + 1, np.int64)
        _mark_kernel(pieces, out, ends)
        assert out.tolist() == [1] * pieces + [0]
        shares = min(count, pieces)
        assert set(ends[:pieces]) == {(s + 1) * pieces // shares for s in range(shares)}


def test_several_python_threads_at_once(thread_count):
    thread_count(3)
    random = np.random.default_rng(0)
    x = random.standard_normal((4, 20, 10, 11)).astype(np.float32)
    w = random.standard_normal((20, 20, 3, 3)).astype(np.float32)

    def step() -> bytes:
        y, cache = conv.conv2d_forward(x, w, None, (1, 1), NONE, (1, 1), 1)
        dx, dw, _ = conv.conv2d_backward(y, cache)
        return y.tobytes() + dx.tobytes() + dw.tobytes()

    expected, wrong = step(), []

    def work() -> None:
        wrong.extend(1 for _ in range(30) if step() != expected)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
        assert not worker.is_alive()
    assert not wrong


def test_a_busy_pool_changes_no_bit(thread_count):
    thread_count(4)
    random = np.random.default_rng(1)
    x = random.standard_normal((5, 8, 9, 9)).astype(np.float32)
    w = random.standard_normal((8, 8, 3, 3)).astype(np.float32)
    shared, cache = conv.conv2d_forward(x, w, None, (1, 1), NONE, (1, 1), 1)
    shared_gradient = conv.conv2d_backward(shared, cache)[1]
    with threads._pool.busy:
        alone, cache = conv.conv2d_forward(x, w, None, (1, 1), NONE, (1, 1), 1)
        alone_gradient = conv.conv2d_backward(alone, cache)[1]
    assert np.array_equal(shared, alone)
    assert np.array_equal(shared_gradient, alone_gradient)


def test_workers_sleep_and_wake(thread_count):
    thread_count(2)
    x, out = np.ones(1000), np.zeros(1000)
    _add_kernel(1000, x, x, 1, out)
    deadline = time.monotonic() + 30
    while not all(threads._pool.asleep) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert all(threads._pool.asleep)
    _add_kernel(1000, x, x, 1, out)
    assert not all(threads._pool.asleep)
    assert (out == 2).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes():
    program = """
import os, threading, numpy as np
from minicnn.cpu.conv import conv2d_forward
x, w = np.ones((4, 8, 9, 9), np.float32), np.ones((8, 8, 3, 3), np.float32)
step = lambda: conv2d_forward(x, w, None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0].sum()
expected, stop = step(), threading.Event()
def work():
    while not stop.is_set(): step()
other = threading.Thread(target=work); other.start()      # the pool is busy at most forks
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if step() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set(); other.join(); print("done")
"""
    environment = {**os.environ, "MINICNN_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=300)
    assert done.stdout.decode().strip() == "done", done.stderr.decode()


def test_numpys_own_threads_rest():
    pools = threadpoolctl.ThreadpoolController().select(internal_api="openblas").info()
    assert {pool["num_threads"] for pool in pools if "numpy.libs" in pool["filepath"]} <= {1}


@pytest.mark.parametrize("chosen", ["0", "-1", "two", "1.5"])
def test_thread_count_is_checked(chosen, monkeypatch):
    monkeypatch.setenv("MINICNN_NUM_THREADS", chosen)
    with pytest.raises(MinicnnError, match=f"MINICNN_NUM_THREADS is '{chosen}', needs a whole number from 1"):
        settings.threads.__wrapped__()
    monkeypatch.setenv("MINICNN_NUM_THREADS", "3")
    assert settings.threads.__wrapped__() == 3


def test_vector_is_checked(monkeypatch):
    monkeypatch.setenv("MINICNN_VECTOR", "mmx")
    with pytest.raises(MinicnnError, match="MINICNN_VECTOR is 'mmx', needs one of avx512, avx2, neon, scalar"):
        settings.vector.__wrapped__()


def test_flat_views_memory():
    x = np.arange(6.0).reshape(2, 3)
    x.flags.writeable = False
    view = flat(x)
    assert view.flags.writeable
    assert np.shares_memory(view, x)
    assert view.tolist() == [0, 1, 2, 3, 4, 5]


def test_scratch_is_nobody_elses():
    with scratch(10, np.float32) as a, scratch(10, np.float64) as b:
        assert a.shape == b.shape == (10,)
        assert not np.shares_memory(a, b)
        assert a.ctypes.data % 64 == b.ctypes.data % 64 == 0
