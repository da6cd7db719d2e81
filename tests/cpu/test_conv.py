"""The CPU's convolution against PyTorch in float64, in the numbers' own layout and with every option."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minicnn.cpu import conv, direct, microkernel, settings, winograd, winograd_chunks, winograd_panels
from minicnn.cpu.switches import use_winograd

TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}
NONE = ((0, 0), (0, 0))
PASSES = ("forward", "input_gradient", "weight_gradient")


def normal(random: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return random.standard_normal(shape).astype(dtype)


def channels_last(x: np.ndarray) -> bool:
    return x.transpose(0, 2, 3, 1).flags.c_contiguous


def check(
    N: int, C: int, H: int, W: int, filters: int, kernel: tuple[int, int], stride=(1, 1), padding=NONE, dilation=(1, 1),
    groups=1, dtype=np.float32, bias=True, tolerance=None,
) -> None:  # fmt: skip
    """Compare outputs and all gradients with float64 PyTorch: largest error over largest value."""
    random = np.random.default_rng([N, C, H, W, filters, *kernel])
    x, w = normal(random, (N, C, H, W), dtype), normal(random, (filters, C // groups, *kernel), dtype)
    b = normal(random, (filters,), dtype) if bias else None
    y, cache = conv.conv2d_forward(x, w, b, stride, padding, dilation, groups)
    dy = normal(random, y.shape, dtype)
    found = (y, *conv.conv2d_backward(dy, cache))

    inputs = [None if a is None else torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, w, b)]
    padded = F.pad(inputs[0], (*padding[1], *padding[0]))
    expected = F.conv2d(padded, inputs[1], inputs[2], stride, 0, dilation, groups)
    expected.backward(torch.tensor(dy, dtype=torch.float64))
    wanted = (expected.detach(), *(None if t is None else t.grad for t in inputs))

    assert channels_last(y)
    assert channels_last(found[1])
    assert found[2].flags.c_contiguous
    for name, a, t in zip(("y", "dx", "dw", "db"), found, wanted):
        assert (a is None) == (t is None), name
        if t is None:
            continue
        assert a.shape == tuple(t.shape), name
        assert a.dtype == dtype, name
        error = np.abs(a - t.numpy()).max(initial=0) / max(t.abs().max().item() if t.numel() else 0, 1e-30)
        assert error <= (tolerance or TOLERANCE[np.dtype(dtype)]), f"{name}: {error:.1e}"


def shapes(seed: int, count: int) -> list[dict[str, Any]]:
    """Draw convolutions with every option."""
    random = np.random.default_rng(seed)

    def pick(*values: int) -> tuple[int, int]:
        a, b = random.choice(values, 2)
        return int(a), int(b)

    found: list[dict[str, Any]] = []
    while len(found) < count:
        groups = int(random.choice([1, 1, 1, 2, 3, 4, 8]))
        C, filters = (groups * int(random.integers(1, 1 + 70 // groups)) for _ in range(2))
        if random.random() < 0.15:
            C = filters = groups = int(random.integers(1, 70))
        H, W = pick(*range(1, 20))
        kernel, stride, dilation = pick(1, 2, 3, 3, 4, 5), pick(1, 1, 2, 3, 4), pick(1, 1, 1, 2, 3)
        padding = (pick(0, 1, 2, 3), pick(0, 1, 2, 3))
        if random.random() < 0.2:
            kernel, padding = (1, 1), NONE
        spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        if H + sum(padding[0]) >= spans[0] and W + sum(padding[1]) >= spans[1]:
            dtype = [np.float32, np.float64][int(random.random() < 0.3)]
            sizes = {"N": int(random.integers(0, 5)), "C": C, "H": H, "W": W, "filters": filters, "kernel": kernel}
            options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            found.append({**sizes, **options, "dtype": dtype, "bias": bool(random.random() < 0.7)})
    return found


@pytest.mark.parametrize("shape", shapes(0, 60), ids=str)
def test_every_option(shape):
    check(**shape)


@pytest.mark.full
def test_many_more_shapes():
    for shape in shapes(1, 3000):
        check(**shape)


@pytest.fixture
def edges_apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let small images, too, be read where they are except at their edges."""
    monkeypatch.setattr(direct, "LARGE", 0)
    direct.plan.cache_clear()
    yield
    direct.plan.cache_clear()


@pytest.mark.usefixtures("edges_apart")
@pytest.mark.parametrize("shape", [s for s in shapes(4, 200) if s["filters"] <= 32 and s["groups"] == 1], ids=str)
def test_every_option_with_edges_apart(shape):
    check(**shape)


@pytest.mark.parametrize("filters", [16, 32, 48])
def test_every_width_of_an_image(filters):
    """Rows are cut into tiles of two heights."""
    for width in range(1, 31):
        check(2, 3, 2, width, filters, (2, 3), padding=((0, 0), (1, 1)))


@pytest.mark.parametrize("C", [1, 2, 15, 16, 17, 33, 65])
@pytest.mark.parametrize("filters", [1, 7, 16, 40, 63, 64, 129])
def test_channels_that_are_no_multiple_of_the_vector(C, filters):
    check(2, C, 6, 7, filters, (3, 3), padding=((1, 1), (1, 1)))
    check(2, C, 6, 7, filters, (1, 1))


@pytest.mark.full
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_channel_counts(dtype):
    for C in range(1, 66):
        for filters, kernel in itertools.product((1, C, 66 - C, 65), ((3, 3), (1, 1), (5, 2))):
            check(2, C, 5, 6, filters, kernel, padding=((1, 0), (2, 1)), dtype=dtype)


@pytest.mark.parametrize(
    ("N", "C", "H", "W", "filters", "kernel", "options"),
    [
        (1, 512, 7, 7, 512, (3, 3), {"padding": ((1, 1), (1, 1))}),  # panels are split over threads
        (8, 192, 4, 4, 200, (3, 3), {"padding": ((1, 1), (1, 1))}),  # images together, blocks of the reduction
        (1, 16, 50, 40, 16, (3, 3), {"padding": ((1, 1), (1, 1))}),  # bands of rows
        (3, 3, 64, 60, 64, (7, 7), {"padding": ((3, 3), (3, 3)), "stride": (2, 2)}),
        (2, 600, 5, 5, 40, (1, 1), {}),
        (2, 8, 9, 8, 24, (1, 1), {"groups": 8, "stride": (3, 4)}),
        (2, 17, 9, 8, 33, (1, 1), {"stride": (3, 4)}),
        (40, 3, 3, 3, 5, (2, 2), {}),
        (2, 1, 40, 41, 32, (5, 5), {"padding": ((2, 2), (2, 2)), "stride": (2, 2)}),  # patches
    ],
)
def test_each_way_of_sharing_the_work(N, C, H, W, filters, kernel, options):
    with use_winograd(False):
        check(N, C, H, W, filters, kernel, **options)


def note_winograd(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each of Winograd's passes will add its name."""
    called: list[str] = []

    def noted(name: str, f: Any) -> Any:
        return lambda *args: (called.append(name), f(*args))[1]

    for name in PASSES:
        monkeypatch.setattr(winograd, name, noted(name, getattr(winograd, name)))
    return called


@pytest.mark.parametrize(
    ("N", "C", "H", "W", "filters", "padding"),
    [
        (4, 32, 16, 16, 32, ((1, 1), (1, 1))),
        (3, 40, 28, 23, 36, ((1, 1), (1, 1))),
        (9, 33, 9, 10, 65, ((0, 0), (0, 0))),
        (2, 64, 30, 21, 48, ((2, 1), (0, 3))),
        (5, 33, 13, 3, 36, ((3, 3), (1, 1))),
        (1, 32, 33, 34, 130, ((0, 2), (2, 2))),
        (3, 36, 11, 12, 32, ((5, 0), (2, 4))),
        (3, 24, 28, 23, 17, ((1, 1), (1, 1))),  # so few channels go forward without it
    ],
)
@pytest.mark.parametrize("K", [3, 5])
def test_winograd(N, C, H, W, filters, padding, K, monkeypatch):
    called = note_winograd(monkeypatch)
    check(N, C, H, W + K - 3, filters, (K, K), padding=padding, tolerance=1e-4)
    assert called == list(PASSES if min(C, filters) >= 32 else PASSES[1:])


@pytest.mark.parametrize(
    ("N", "C", "H", "W", "filters", "K", "padding"),
    [
        (8, 192, 7, 7, 176, 3, ((1, 1), (1, 1))),
        (3, 130, 12, 13, 209, 3, ((1, 1), (1, 1))),
        (5, 129, 9, 11, 136, 3, ((2, 0), (0, 1))),
        (1, 150, 15, 16, 136, 5, ((2, 2), (2, 2))),
        (6, 145, 7, 9, 130, 5, ((3, 2), (1, 2))),
    ],
)
def test_winograd_of_few_tiles(N, C, H, W, filters, K, padding, monkeypatch, thread_count):
    """One panel of filters after the other: whole and last blocks of channels, panels and tiles that are not full."""

    def forbidden(*args: Any) -> None:
        raise AssertionError("chunks of tiles ran")

    for name in ("convolve", "weight_gradient"):
        monkeypatch.setattr(winograd_chunks, name, forbidden)
    called = note_winograd(monkeypatch)
    for threads in (1, 2, 3):
        thread_count(threads)
        check(N, C, H, W, filters, (K, K), padding=padding, tolerance=1e-4)
    assert called == [*PASSES] * 3


def test_winograd_is_not_used_for_tiles_that_lie_half_outside(monkeypatch):
    """4 tiles of 4 × 4 for 5 × 5 pixels are no fewer multiplications than it takes to pay for the transforms."""
    s = direct.Shape(8, 5, 5, 512, 512, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, (5, 5), np.dtype("f4"))
    assert not winograd.wins(s)
    assert winograd.wins(s._replace(H=7, W=7, out=(7, 7)))


def rounding_beside_pytorch(N: int, channels: int, filters: int, K: int) -> float:
    """Return the error of a forward pass as a multiple of PyTorch's float32, both as root mean squares."""
    random = np.random.default_rng(0)
    x, w = normal(random, (N, channels, 32, 16), np.float32), normal(random, (filters, channels, K, K), np.float32)
    same = (K // 2, K // 2)
    ours = conv.conv2d_forward(np.maximum(x, 0), w, None, (1, 1), (same, same), (1, 1), 1)[0]
    theirs, exact = (
        F.conv2d(torch.tensor(x, dtype=dtype).relu(), torch.tensor(w, dtype=dtype), padding=K // 2).numpy()
        for dtype in (torch.float32, torch.float64)
    )
    return float(np.sqrt(np.mean((ours - exact) ** 2) / np.mean((theirs - exact) ** 2)))


@pytest.mark.parametrize(("channels", "K", "winograd_on", "times"), [
    (512, 3, False, 1.5), (512, 1, False, 1.5), (16, 3, True, 1.5), (64, 3, True, 4), (256, 3, True, 4),
    (64, 5, True, 4),
])  # fmt: skip
def test_a_forward_pass_rounds_like_pytorch(channels, K, winograd_on, times):
    """Deep networks in train mode magnify rounding: one long sum of 4608 terms would be five times PyTorch's."""
    with use_winograd(winograd_on):
        assert rounding_beside_pytorch(4, channels, 64, K) <= times


@pytest.mark.full
@pytest.mark.parametrize("order", [winograd_chunks, winograd_panels])
def test_winograd_at_all_sizes(order, monkeypatch):
    monkeypatch.setattr(winograd, "wins", lambda s, gradient=True: s.kernel in ((3, 3), (5, 5)))
    monkeypatch.setattr(winograd, "in_panels", lambda s, most: order is winograd_panels)
    monkeypatch.setattr(winograd, "SMALL", 0)
    random = np.random.default_rng(2)
    for i in range(1000):
        N, C, H, W, filters = (int(random.integers(*r)) for r in ((0, 6), (1, 70), (5, 20), (5, 20), (1, 70)))
        pads = [int(p) for p in random.integers(0, 4, 4)]
        K = 3 + 2 * (i % 2)
        check(N, C, H, W, filters, (K, K), padding=((pads[0], pads[1]), (pads[2], pads[3])), tolerance=1e-4)


def test_winograd_runs_only_where_it_may(monkeypatch):
    def forbidden(*args: Any) -> None:
        raise AssertionError("Winograd ran")

    shape = {"N": 4, "C": 32, "H": 16, "W": 16, "filters": 32, "kernel": (3, 3), "padding": ((1, 1), (1, 1))}
    for name in PASSES:
        monkeypatch.setattr(winograd, name, forbidden)
    check(**shape, dtype=np.float64)
    check(**{**shape, "kernel": (5, 3)})
    check(**shape, stride=(1, 2))
    check(**shape, dilation=(2, 1))
    check(**shape, groups=2)
    with use_winograd(False):
        check(**shape)
    with pytest.raises(AssertionError, match="Winograd ran"):
        check(**shape)


@pytest.mark.parametrize("C", [1, 3, 16, 37, 64])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
        ((3, 2), (2, 3), ((1, 0), (0, 2)), (1, 1)),
        ((2, 3), (1, 1), ((0, 3), (1, 2)), (3, 2)),
        ((1, 2), (4, 3), ((0, 0), (0, 0)), (1, 4)),
    ],
)
def test_depthwise(C, kernel, stride, padding, dilation, monkeypatch):
    for name in PASSES:
        monkeypatch.setattr(direct, name, None)
    for dtype in (np.float32, np.float64):
        check(2, C, 9, 8, C, kernel, stride, padding, dilation, groups=C, dtype=dtype)


@pytest.mark.parametrize(
    ("stride", "padding", "output_padding", "groups", "dilation"),
    [
        ((1, 1), (0, 0), (0, 0), 1, (1, 1)),
        ((2, 2), (1, 1), (1, 1), 1, (1, 1)),
        ((3, 2), (0, 1), (2, 1), 2, (1, 2)),
        ((1, 4), (2, 0), (0, 3), 6, (2, 1)),
    ],
)
def test_transposed(stride, padding, output_padding, groups, dilation):
    random = np.random.default_rng(0)
    x, w = normal(random, (3, 12, 6, 7), np.float32), normal(random, (12, 5, 3, 4), np.float32)
    b = normal(random, (5 * groups,), np.float32)
    y, cache = conv.conv_transpose2d_forward(x, w, b, stride, padding, output_padding, groups, dilation)
    dy = normal(random, y.shape, np.float32)
    found = (y, *conv.conv_transpose2d_backward(dy, cache))
    inputs = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, w, b)]
    expected = F.conv_transpose2d(*inputs, stride, padding, output_padding, groups, dilation)
    expected.backward(torch.tensor(dy, dtype=torch.float64))
    for a, t in zip(found, (expected.detach(), *(i.grad for i in inputs))):
        assert np.abs(a - t.numpy()).max() <= 2e-5 * t.abs().max().item()


def test_only_the_wanted_gradients():
    random = np.random.default_rng(0)
    x, w = normal(random, (2, 3, 5, 6), np.float32), normal(random, (4, 3, 3, 3), np.float32)
    y, cache = conv.conv2d_forward(x, w, np.zeros(4, np.float32), (1, 1), NONE, (1, 1), 1)
    for needs in itertools.product((True, False), repeat=3):
        found = conv.conv2d_backward(np.ones_like(y), cache, needs)
        assert [g is not None for g in found] == list(needs)
    _, cache = conv.conv2d_forward(x, w, None, (1, 1), NONE, (1, 1), 1)
    assert conv.conv2d_backward(np.ones_like(y), cache)[2] is None


@pytest.mark.parametrize("layout", ["strided", "read-only", "reversed", "channels last"])
def test_inputs_in_any_memory_order(layout):
    random = np.random.default_rng(0)
    x, w = normal(random, (2, 6, 8, 10), np.float32), normal(random, (4, 6, 3, 3), np.float32)
    plain = conv.conv2d_forward(x, w, None, (1, 1), NONE, (1, 1), 1)[0]
    if layout == "strided":
        x, w = np.repeat(x, 2, axis=3)[..., ::2], np.repeat(w, 2, axis=0)[::2]
    elif layout == "reversed":
        x, w = np.ascontiguousarray(x[:, ::-1])[:, ::-1], np.ascontiguousarray(w[::-1])[::-1]
    elif layout == "channels last":
        x, w = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, w))
    else:
        x.flags.writeable = w.flags.writeable = False
    y, cache = conv.conv2d_forward(x, w, None, (1, 1), NONE, (1, 1), 1)
    assert np.array_equal(y, plain)
    assert cache[0] is x
    assert cache[1] is w
    conv.conv2d_backward(y, cache)


def test_nan_and_infinity_reach_exactly_their_windows():
    x = np.zeros((1, 1, 7, 7), np.float32)
    x[0, 0, 3, 3] = np.nan
    y = conv.conv2d_forward(x, np.ones((20, 1, 3, 3), np.float32), None, (1, 1), NONE, (1, 1), 1)[0]
    expected = np.zeros((5, 5), bool)
    expected[1:4, 1:4] = True
    assert np.array_equal(np.isnan(y), np.broadcast_to(expected, y.shape))


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("winograd_on", [True, False])
def test_thread_counts_agree_to_rounding(threads, winograd_on, monkeypatch, thread_count):
    one = ((1, 1), (1, 1))
    shapes = [
        ((5, 20, 13, 12, 36, (3, 3)), {"padding": one}),
        ((1, 130, 6, 5, 300, (3, 3)), {"padding": one}),
        ((9, 192, 7, 8, 200, (3, 3)), {"padding": one}),
        ((1, 6, 30, 9, 10, (3, 2)), {"groups": 2, "stride": (2, 1)}),
        ((2, 3, 2, 2, 4, (1, 1)), {}),
    ]
    thread_count(threads)
    with use_winograd(winograd_on):
        for sizes, options in shapes:
            check(*sizes, **options, tolerance=1e-4 if winograd_on else None)


def test_each_run_gives_the_same_bits():
    random = np.random.default_rng(0)
    for N, C, filters in ((6, 24, 40), (1, 200, 130), (4, 200, 160)):
        x, w = normal(random, (N, C, 12, 11), np.float32), normal(random, (filters, C, 3, 3), np.float32)
        runs = []
        for _ in range(5):
            y, cache = conv.conv2d_forward(x, w, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
            runs.append(b"".join(a.tobytes() for a in (y, *conv.conv2d_backward(y, cache)[:2])))
        assert len(set(runs)) == 1


def test_a_tile_of_every_shape_is_right():
    for dtype, V in itertools.product((np.float32, np.float64), (1, 2, 3, 4)):
        lanes = microkernel.lanes_of(dtype)
        channels = max(1, V * lanes - 1)
        used = microkernel.choose_vectors(channels, dtype)
        assert used * lanes >= channels
        check(1, 3, 4, 5, channels, (2, 2), dtype=dtype)


def test_the_choice_depends_on_the_shape_alone():
    shape = direct.Shape(2, 16, 16, 16, 16, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, (16, 16), np.dtype("f4"))
    first = direct.plan(shape, False, settings.threads())
    direct.plan.cache_clear()
    again = direct.plan(shape, False, settings.threads())
    assert first.sizes == again.sizes
