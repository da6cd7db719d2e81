"""What users rely on without thinking: memory that stays flat, switches that come back, copies that are copies."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import _inplace, nn, optim
from minicnn._device import current_device
from minicnn.data import DataLoader
from minicnn.errors import DTypeError
from minicnn.models import resnet_orl


def test_training_leaves_no_cycles_and_no_memory():
    model = resnet_orl(3, widths=[4, 6], depth=6)
    optimizer = optim.AdamW(model.parameters())
    x, y = mc.randn(3, 1, 20, 16), mc.tensor([0, 1, 2])

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    with mc.use_device("cpu"):
        step()
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                step()
            before = len(gc.get_objects())
            for _ in range(20):
                step()
            assert len(gc.get_objects()) - before <= 10
            assert gc.collect() == 0
        finally:
            gc.enable()


# Switches


def test_no_grad_without_brackets():
    w = mc.ones(1).requires_grad_()

    @mc.no_grad
    def double(x):
        """Twice."""
        return 2 * x

    assert double.__doc__ == "Twice."
    assert not double(w).requires_grad
    assert mc.is_grad_enabled()
    with pytest.raises(DTypeError, match=r"^no_grad: takes no argument, or decorates a function; got 3$"):
        mc.no_grad(3)


def test_no_grad_refuses_a_generator():
    def batches():
        yield 1

    with pytest.raises(DTypeError, match=r"^no_grad: batches is a generator, whose body would run after the switch; "):
        mc.no_grad()(batches)


def test_decorated_function_in_two_threads():
    """The first thread leaves while the second is still inside; each gets back what it had."""
    found = {}

    @mc.no_grad()
    def shared(entered: threading.Event, go: threading.Event) -> None:
        entered.set()
        go.wait(10)

    def work(name: str, recording: bool, entered: threading.Event, go: threading.Event) -> None:
        with mc.enable_grad() if recording else mc.no_grad():
            shared(entered, go)
            found[name] = mc.is_grad_enabled()

    events = [threading.Event() for _ in range(4)]
    first = threading.Thread(target=work, args=("recording", True, events[0], events[1]))
    second = threading.Thread(target=work, args=("not", False, events[2], events[3]))
    first.start()
    events[0].wait(10)
    second.start()
    events[2].wait(10)
    events[1].set()
    first.join()
    events[3].set()
    second.join()
    assert found == {"recording": True, "not": False}


def test_use_device_can_be_entered_again():
    switch = mc.use_device("reference")
    for _ in range(2):
        with switch:
            assert current_device() == "reference"
        assert current_device() == "cpu"


# Copies


def test_copies_of_a_model_share_nothing_and_keep_what_is_tied():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin[2].weight is twin[0].weight
        for name, tensor in model.state_dict().items():
            other = twin.state_dict()[name]
            assert not np.shares_memory(tensor.data, other.data)
            assert (tensor.data == other.data).all()


def test_optimizer_copied_with_its_model_trains_the_copy():
    model = nn.Linear(2, 2)
    optimizer = optim.Adam(model.parameters())
    model(mc.ones(1, 2)).sum().backward()
    optimizer.step()
    twin, other = copy.deepcopy((model, optimizer))
    assert other.param_groups[0]["params"][0] is twin.weight
    assert set(other.state) == set(twin.parameters())


# Counters of in-place writes


def test_every_write_of_the_library_is_announced():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer, x, t = optim.SGD(model.parameters(), lr=0.1), mc.ones(2, 1, 5, 5), mc.ones(3)
    model(x).sum().backward()
    writes = {
        "step": optimizer.step,
        "load_state_dict": lambda: model.load_state_dict(model.state_dict()),
        "init": lambda: nn.init.zeros_(model[0].weight),
        "running statistics": lambda: model(x),
        "clip": lambda: optim.clip_grad_norm_(model.parameters(), 1e-9),
        "zeros in grad": lambda: model.zero_grad(set_to_none=False),
        "index": lambda: t.__setitem__(0, 2),
        "copy_": lambda: t.copy_(mc.zeros(3)),
        "fill_": lambda: t.fill_(1),
        "zero_": t.zero_,
        "+=": lambda: t.__iadd__(1),
    }
    for name, write in writes.items():
        before = _inplace.clock
        write()
        assert _inplace.clock > before, name


def test_abandoned_loaders_end_their_threads():
    for _ in range(5):
        next(iter(DataLoader(list(range(100)), 2, num_workers=3)))
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "DataLoader":
            thread.join(5)
            assert not thread.is_alive()
