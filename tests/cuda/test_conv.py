"""Convolution on CUDA: both algorithms and all tiles agree with the definition, on odd shapes, checked."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn.cuda import conv, emulation, implicit, matmul, reduce
from minicnn.cuda.launch import launched
from minicnn.errors import ShapeError
from minicnn.ops import conv as definition
from minicnn.ops import matmul as of_linear

Calls = dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]]


@pytest.fixture(autouse=True)
def _checked() -> Iterator[None]:
    with emulation.checking():
        yield


def call(
    stride: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


ANY: Calls = {
    "plain": ((2, 3, 7, 9), (5, 3, 3, 2), call()),
    "one pixel": ((3, 7, 1, 1), (33, 7, 1, 1), call()),
    "strided": ((2, 3, 11, 8), (4, 3, 3, 3), call((2, 3), ((1, 1), (2, 2)))),
    "stride over the kernel": ((1, 2, 9, 10), (3, 2, 1, 2), call((3, 4))),
    "stride and dilation": ((1, 2, 13, 14), (3, 2, 3, 4), call((2, 6), ((2, 2), (3, 3)), (4, 4))),
    "unequal padding": ((1, 2, 6, 5), (3, 2, 4, 2), call(padding=((1, 2), (0, 1)))),
    "groups": ((2, 6, 5, 7), (9, 2, 3, 3), call((1, 2), ((1, 1), (1, 1)), groups=3)),
    "depthwise": ((1, 5, 6, 7), (10, 1, 3, 3), call(padding=((1, 1), (1, 1)), groups=5)),
    "window of the padding alone": ((1, 1, 2, 2), (2, 1, 2, 2), call(padding=((3, 3), (3, 3)))),
    "more than a tile": ((3, 5, 9, 11), (37, 5, 3, 3), call(padding=((1, 1), (1, 1)))),
}
FOURS: Calls = {
    "plain": ((2, 8, 9, 11), (24, 8, 3, 3), call(padding=((1, 1), (1, 1)))),
    "strided": ((2, 16, 9, 11), (72, 16, 3, 2), call((2, 3), ((1, 0), (0, 1)))),
    "dilated, in groups": ((1, 32, 13, 12), (48, 16, 3, 3), call((2, 2), ((2, 2), (2, 2)), (2, 1), 2)),
    "more than a tile": ((1, 8, 13, 12), (136, 8, 1, 1), call()),
}


def numbers(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def results(of: Any, x: Any, w: Any, b: Any, options: dict[str, Any]) -> list[Any]:
    y, cache = of.conv2d_forward(x, w, b, **options)
    return [y, *of.conv2d_backward(numbers(y.shape, y.dtype), cache)]


def check(item: tuple[Any, ...], dtype: Any, bias: bool = True) -> None:
    x_shape, w_shape, options = item
    x, w = numbers(x_shape, dtype), numbers(w_shape, dtype)
    b = numbers(w_shape[:1], dtype) if bias else None
    found = results(conv, x, w, b, options)
    wanted = results(definition, *(None if a is None else a.astype(np.float64) for a in (x, w, b)), options)
    assert all(a.transpose(0, 2, 3, 1).flags.c_contiguous for a in found[:2])
    for name, a, right in zip(("y", "dx", "dw", "db"), found, wanted, strict=True):
        if right is None:
            assert a is None
            continue
        assert (a.shape, a.dtype) == (right.shape, dtype)
        bound = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(a, right, rtol=bound, atol=bound * np.abs(right).max(), err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", ["implicit", "im2col"])
@pytest.mark.parametrize("item", ANY.values(), ids=ANY)
def test_both_algorithms_are_the_definition(item: Any, how: str, dtype: Any) -> None:
    with conv.algorithm(how):
        check(item, dtype, bias=how == "im2col" or dtype == np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tile", implicit.TILES, ids=str)
@pytest.mark.parametrize("item", FOURS.values(), ids=FOURS)
def test_every_tile_is_the_definition(item: Any, tile: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implicit, "choose_tile", lambda *shape: tile)
    monkeypatch.setattr(implicit, "PIECE", 40)  # several pieces of pixels, of unequal size
    launched.clear()
    check(item, dtype, bias=dtype == np.float64)
    assert launched == {f"conv_{tile}": 2, f"conv_weight_{tile}": 1, "conv_weight_sum": 1} | (
        {"sum_columns": 1} if dtype == np.float64 else {}
    )


@pytest.mark.parametrize("tile", implicit.TILES, ids=str)
@pytest.mark.parametrize("order", [1, 5])
def test_the_order_of_threads_and_blocks_changes_nothing(
    order: int, tile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implicit, "choose_tile", lambda *shape: tile)
    monkeypatch.setattr(implicit, "PIECE", 40)
    x_shape, w_shape, options = FOURS["strided"]
    arrays = [numbers(shape, np.float32) for shape in (x_shape, w_shape, w_shape[:1])]
    wanted = results(conv, *arrays, options)
    with emulation.checking(order=order):
        for a, right in zip(results(conv, *arrays, options), wanted, strict=True):
            np.testing.assert_array_equal(a, right)


@pytest.mark.parametrize("tile", implicit.TILES, ids=str)
def test_a_large_linear_layer_runs_in_register_tiles(tile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implicit, "choose_tile", lambda *shape: tile)
    arrays = [numbers(shape, np.float32) for shape in ((5, 27, 40), (72, 40), (72,))]
    launched.clear()
    y, cache = matmul.linear_forward(*arrays)
    found = [y, *matmul.linear_backward(numbers(y.shape, np.float32), cache)]
    assert launched[f"conv_{tile}"] == 2
    assert launched["matmul_tiled"] == 0
    y, cache = of_linear.linear_forward(*(a.astype(np.float64) for a in arrays))
    for a, right in zip(found, [y, *of_linear.linear_backward(numbers(y.shape, np.float32), cache)], strict=True):
        assert a.shape == right.shape
        np.testing.assert_allclose(a, right, rtol=1e-5, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [511, 517, 1103])
def test_sums_of_many_rows_meet_in_two_steps(rows: int, dtype: Any) -> None:
    x = numbers((rows, 35), dtype)
    launched.clear()
    found = reduce.sum_columns(x)
    assert launched == {"sum_columns": 1 if rows < 2 * reduce.PIECE else 2}
    np.testing.assert_allclose(found, x.sum(0, dtype=np.float64), rtol=0, atol=1e-5 if dtype == np.float32 else 1e-12)


def test_gradients_that_nobody_needs_are_not_computed() -> None:
    x_shape, w_shape, options = ANY["plain"]
    y, cache = conv.conv2d_forward(numbers(x_shape, np.float32), numbers(w_shape, np.float32), None, **options)
    launched.clear()
    assert conv.conv2d_backward(y, cache, (False, False, False)) == (None, None, None)
    assert not launched


def test_the_tile_is_a_function_of_the_shape() -> None:
    shapes = [
        (32 * 56 * 56, 64, 1, True),
        (32 * 14 * 14, 256, 1, True),
        (32 * 56 * 56, 64, 1, False),
        (2576, 16, 1, True),
    ]
    assert [str(implicit.choose_tile(*shape)) for shape in shapes] == ["128x64", "128x128", "64x32", "64x32"]


def test_more_pixels_than_the_kernels_count_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"convolution: 1073741824 pixels, CUDA takes fewer than 2\^30"):
        implicit.convolved(
            np.zeros((1 << 10, 1, 1, 1), np.float32),
            np.zeros((1, 1, 1, 1, 1), np.float32),
            None,
            (1 << 10, 1 << 10),
            implicit.Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
            transposed=False,
        )
