import numpy as np

import minicnn as mc
import minicnn.functional as F
from minicnn import _watch, nn


def test_calls_bytes_and_implementations_are_counted():
    x = mc.tensor(np.ones((2, 3, 8, 6), np.float32))
    layer = nn.Conv2d(3, 4, 3)
    with mc.profile() as found:
        F.relu(layer(x)).sum().backward()
        layer(x)
    assert not _watch.watchers
    rows = {row.name: row for row in found.rows}
    assert set(rows) == {"Conv2d", "Conv2d backward", "ReLU", "ReLU backward", "Sum", "Sum backward"}
    assert (rows["Conv2d"].calls, rows["Conv2d backward"].calls) == (2, 1)
    assert rows["Conv2d"].bytes == 2 * (2 * 4 * 6 * 4 * 4)
    assert rows["Conv2d backward"].bytes == layer.weight.data.nbytes + layer.bias.data.nbytes  # no input gradient
    assert rows["Conv2d"].implementation == "minicnn.cpu.conv"
    assert rows["Sum"].implementation == "minicnn.ops.reduce"
    seconds = [row.seconds for row in found.rows]
    assert seconds == sorted(seconds, reverse=True)
    assert min(seconds) > 0


def test_the_reference_runs_the_definitions():
    with mc.use_device("reference"), mc.profile() as found:
        F.relu(mc.tensor([[1.0, -1.0]]))
    assert [(row.name, row.implementation) for row in found.rows] == [("ReLU", "minicnn.ops.activation")]


class Double(mc.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, dy):
        return 2 * dy


def test_ones_own_functions_are_their_own_implementation_and_the_table_is_readable():
    with mc.profile() as found:
        Double.apply(mc.tensor([1.0, 2.0]))
    head, line = str(found).splitlines()
    assert head.split() == ["operation", "calls", "ms", "share", "MB", "made", "implementation"]
    assert line.split()[:2] == ["Double", "1"]
    assert line.split()[-2:] == ["0.00", __name__]


def test_it_goes_together_with_detect_anomaly():
    with mc.profile() as found, mc.detect_anomaly():
        Double.apply(mc.tensor([1.0], requires_grad=True)).backward()
    assert [row.calls for row in found.rows] == [1, 1]
