"""Transforms: exact expectations on synthetic pictures, PyTorch's interpolation, and what all of them promise."""

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import random
from minicnn.data import transforms as T
from minicnn.data.transforms.warp import affine_matrix, gaussian_bumps, resample
from minicnn.errors import DTypeError, ShapeError
from minicnn.random import Generator

RANDOM = [
    T.RandomHorizontalFlip(),
    T.RandomCrop((6, 5), padding=2),
    T.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), (-5, 5, -3, 3)),
    T.RandomErasing(0.9),
    T.RandomErasing(0.9, value="random"),
    T.ElasticTransform(20, 2),
    T.ColorJitter(0.3, 0.4),
    T.RandomLight(0.5),
    T.Compose([T.RandomAffine(20, fill="edge"), T.ElasticTransform(20, 2, fill="edge"), T.RandomHorizontalFlip()]),
]
FIXED = [T.Normalize(0.5, 0.25), T.Resize((5, 4)), T.Resize(12), T.Compose([T.Normalize(0.5, 0.25), T.Resize(6)])]
everything = pytest.mark.parametrize("transform", RANDOM + FIXED, ids=repr)
random_ones = pytest.mark.parametrize("transform", RANDOM, ids=repr)


def pictures(n: int = 4, c: int = 2, h: int = 9, w: int = 7, dtype: Any = np.float32) -> np.ndarray:
    """Pictures in which every pixel has a value of its own."""
    return np.random.default_rng(1).permutation(n * c * h * w).reshape(n, c, h, w).astype(dtype) / (n * c * h * w)


def generator(call: int = 0) -> Generator:
    return Generator(11, random.AUGMENT, call)


# What all transforms promise


@everything
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_type_and_input_are_kept(transform: Any, dtype: Any) -> None:
    batch = pictures(dtype=dtype)
    batch.flags.writeable = False
    result = transform(batch, generator())
    assert result.dtype == dtype
    assert result.shape[:2] == batch.shape[:2]
    assert not np.shares_memory(result, batch)
    assert np.array_equal(batch, pictures(dtype=dtype))
    single = transform(batch[0], generator())
    assert single.shape == result.shape[1:]
    assert np.array_equal(single, transform(batch[:1], generator())[0])


@everything
def test_an_empty_batch_stays_empty(transform: Any) -> None:
    assert transform(pictures()[:0], generator()).shape[:2] == (0, 2)


@everything
def test_memory_layout_changes_nothing(transform: Any) -> None:
    batch = pictures()
    channels_last = np.ascontiguousarray(batch.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(
        transform(channels_last, generator()), transform(batch, generator()), rtol=1e-5, atol=1e-6
    )


@everything
def test_both_types_get_the_same_picture(transform: Any) -> None:
    narrow, wide = transform(pictures(), generator()), transform(pictures(dtype=np.float64), generator())
    np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-4)


@random_ones
def test_the_generator_decides(transform: Any) -> None:
    batch = pictures(8)
    first = transform(batch, generator())
    assert np.array_equal(first, transform(batch, generator()))
    assert not np.array_equal(first, transform(batch, generator(call=1)))


@random_ones
def test_each_picture_gets_its_own_draws(transform: Any) -> None:
    same = np.repeat(pictures(1, 1, 9, 7), 40, axis=0)
    results = transform(same, generator())
    assert len(np.unique(results.reshape(40, -1), axis=0)) > (1 if "Flip(" in repr(transform)[:26] else 20)


@random_ones
def test_the_global_seed_repeats_them(transform: Any) -> None:
    batch = pictures(8)
    mc.manual_seed(5)
    first, second = transform(batch), transform(batch)
    assert random.get_state()["augment"] == 2
    mc.manual_seed(5)
    assert np.array_equal(transform(batch), first)
    assert np.array_equal(transform(batch), second)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, transform(batch, Generator(5, random.AUGMENT)))


def test_the_fixed_ones_draw_nothing() -> None:
    mc.manual_seed(5)
    for transform in FIXED[:3]:
        transform(pictures())
        g = generator()
        transform(pictures(), g)
        assert g.position == 0
    assert random.get_state()["augment"] == 0


@everything
def test_bad_pictures_are_refused(transform: Any) -> None:
    name = type(transform).__name__
    for images, error, text in (
        (np.zeros((1, 9, 7), np.uint8), DTypeError, f"{name}: images are uint8, needs float32 or float64; 8-bit grey"),
        (np.zeros((1, 9, 7), np.int64), DTypeError, f"{name}: images are int64, needs float32 or float64"),
        (np.zeros((1, 9, 7), np.float16), DTypeError, f"{name}: images are float16, needs float32 or float64"),
        (np.zeros((9, 7)), ShapeError, f"{name}: images have shape (9, 7), needs (N, C, H, W) or (C, H, W)"),
        (np.zeros((2, 1, 0, 7)), ShapeError, f"{name}: images have shape (2, 1, 0, 7)"),
        (mc.tensor(np.zeros((1, 9, 7))), DTypeError, f"{name}: images must be a NumPy array, got Tensor"),
    ):
        with pytest.raises(error) as caught:
            transform(images)
        assert text in str(caught.value)


def test_repr_shows_the_arguments() -> None:
    assert repr(T.RandomHorizontalFlip(0.25)) == "RandomHorizontalFlip(p=0.25)"
    assert repr(T.RandomCrop(5, (1, 2))) == "RandomCrop(size=(5, 5), padding=(1, 2, 1, 2), fill=0.0)"
    assert repr(T.RandomAffine(10, scale=(0.5, 2), fill="edge")) == (
        "RandomAffine(degrees=(-10.0, 10.0), translate=None, scale=(0.5, 2.0), shear=None, fill='edge')"
    )
    assert repr(T.Compose([T.Resize(4), T.RandomLight(0.5)])) == (
        "Compose(transforms=[Resize(size=4), RandomLight(strength=0.5)])"
    )


@pytest.mark.parametrize("transform", RANDOM[:-1] + FIXED[:3], ids=repr)
def test_repr_can_be_evaluated(transform: Any) -> None:
    copy = eval(repr(transform), vars(T))
    assert np.array_equal(copy(pictures(), generator()), transform(pictures(), generator()))


# Values


def test_normalize() -> None:
    x = pictures(3, 2, dtype=np.float64)
    y = T.Normalize((0.5, 0.25), (2, 4))(x)
    np.testing.assert_allclose(y[:, 0], (x[:, 0] - 0.5) / 2, rtol=1e-14)
    np.testing.assert_allclose(y[:, 1], (x[:, 1] - 0.25) / 4, rtol=1e-14)
    np.testing.assert_allclose(T.Normalize(x.mean(), x.std())(x).std(), 1, rtol=1e-12)


def test_color_jitter_brightness() -> None:
    x = np.ones((500, 1, 2, 3))
    y = T.ColorJitter(brightness=0.4)(x, generator())
    factors = y[:, 0, 0, 0]
    assert np.ptp(y, axis=(1, 2, 3)).max() < 1e-15
    assert 0.6 <= factors.min() < 0.62
    assert 1.38 < factors.max() <= 1.4
    np.testing.assert_allclose(
        T.ColorJitter(brightness=(3, 3))(pictures(dtype=np.float64)), 3 * pictures(dtype=np.float64)
    )


def test_color_jitter_contrast_keeps_the_mean() -> None:
    x = pictures(6, 2, dtype=np.float64)
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(T.ColorJitter(contrast=(0, 0))(x), np.broadcast_to(mean, x.shape), rtol=1e-13)
    np.testing.assert_allclose(T.ColorJitter(contrast=(2, 2))(x), mean + 2 * (x - mean), rtol=1e-12, atol=1e-15)
    both = T.ColorJitter((0.5, 0.5), (2, 2))(x)
    np.testing.assert_allclose(both, 0.5 * mean + 2 * (0.5 * x - 0.5 * mean), rtol=1e-12, atol=1e-15)
    assert np.array_equal(T.ColorJitter()(x), x)


def test_color_jitter_goes_down_to_black_and_no_further() -> None:
    assert T.ColorJitter(brightness=3).brightness == (0, 4)


def test_random_light_is_a_linear_gradient() -> None:
    light = T.RandomLight(0.5)(np.ones((300, 2, 6, 9)), generator())
    assert np.array_equal(light[:, 0], light[:, 1])
    light = light[:, 0]
    assert np.abs(np.diff(light, 2, axis=1)).max() < 1e-14  # straight lines down and across
    assert np.abs(np.diff(light, 2, axis=2)).max() < 1e-14
    np.testing.assert_allclose(light.mean(axis=(1, 2)), 1, rtol=1e-14)
    strongest = light.max(axis=(1, 2)) - 1
    np.testing.assert_allclose(1 - light.min(axis=(1, 2)), strongest, atol=1e-14)
    assert strongest.min() < 0.01
    assert 0.49 < strongest.max() <= 0.5
    for corner in (light[:, 0, 0], light[:, 0, -1], light[:, -1, 0], light[:, -1, -1]):  # from every side
        assert 0.15 < (corner == light.max(axis=(1, 2))).mean() < 0.35
    assert np.array_equal(T.RandomLight(0)(pictures()), pictures())
    assert np.isfinite(T.RandomLight(1)(pictures(2, 1, 1, 1), generator())).all()


# Whole pixels


def test_flip() -> None:
    x = pictures(200)
    assert np.array_equal(T.RandomHorizontalFlip(1)(x), x[..., ::-1])
    assert np.array_equal(T.RandomHorizontalFlip(0)(x), x)
    y = T.RandomHorizontalFlip(0.25)(x, generator())
    flipped = (y == x[..., ::-1]).all(axis=(1, 2, 3))
    assert np.array_equal(~flipped, (y == x).all(axis=(1, 2, 3)))
    assert 0.15 < flipped.mean() < 0.35


def test_crop_takes_every_window() -> None:
    x = np.repeat(pictures(1, 2, 5, 6), 300, axis=0)
    y = T.RandomCrop((4, 3))(x, generator())
    windows = {x[0, :, i : i + 4, j : j + 3].tobytes() for i in range(2) for j in range(4)}
    assert {picture.tobytes() for picture in y} == windows


def test_crop_of_the_whole_picture() -> None:
    assert np.array_equal(T.RandomCrop((9, 7))(pictures()), pictures())
    assert T.RandomCrop(4)(pictures()).shape == (4, 2, 4, 4)


def test_crop_pads_in_torchvisions_order() -> None:
    x = pictures(2, 1, 3, 4)
    whole = T.RandomCrop((3 + 2 + 4, 4 + 1 + 3), padding=(1, 2, 3, 4), fill=0.5)(x)
    assert np.array_equal(whole[:, :, 2:5, 1:5], x)
    assert (np.delete(whole, np.s_[2:5], axis=2) == 0.5).all()
    assert (np.delete(whole, np.s_[1:5], axis=3) == 0.5).all()
    sides = T.RandomCrop((3 + 2 * 2, 4 + 2 * 1), padding=(1, 2), fill="edge")(x)
    assert np.array_equal(sides, np.pad(x, ((0, 0), (0, 0), (2, 2), (1, 1)), mode="edge"))


def test_erasing() -> None:
    x = pictures(400, 2, 20, 30) + 1
    y = T.RandomErasing(0.75, scale=(0.1, 0.2), ratio=(0.5, 2), value=(-1, -2))(x, generator())
    gone = y[:, 0] == -1
    assert np.array_equal(gone, y[:, 1] == -2)
    assert np.array_equal(np.where(gone[:, None], x, y), x)
    erased = gone.any(axis=(1, 2))
    assert 0.65 < erased.mean() < 0.85
    heights, widths = gone.any(axis=2).sum(axis=1)[erased], gone.any(axis=1).sum(axis=1)[erased]
    assert np.array_equal(heights * widths, gone.sum(axis=(1, 2))[erased])  # one full rectangle
    share = heights * widths / 600
    assert 0.08 < share.min() < 0.11  # sides are rounded to whole pixels
    assert 0.18 < share.max() < 0.23
    ratio = heights / widths
    assert 0.4 < ratio.min() < 0.6
    assert 1.7 < ratio.max() < 2.4
    assert 0.4 < (ratio > 1).mean() < 0.6
    assert gone[:, 0].any()  # up to every border
    assert gone[:, -1].any()
    assert gone[:, :, 0].any()
    assert gone[:, :, -1].any()


def test_erasing_measures_height_and_width() -> None:
    for h, w, ratio in ((20, 6, 5), (6, 20, 0.2)):
        gone = T.RandomErasing(1, scale=(1 / 6, 1 / 6), ratio=(ratio, ratio), value=9)(pictures(5, 1, h, w)) == 9
        assert gone.any(axis=(1, 3)).sum(axis=1).tolist() == [10 if h == 20 else 2] * 5
        assert gone.any(axis=(1, 2)).sum(axis=1).tolist() == [2 if h == 20 else 10] * 5


def test_erasing_with_noise_and_nothing_that_fits() -> None:
    x = np.full((300, 1, 20, 20), 9.0)
    y = T.RandomErasing(1, scale=(0.3, 0.5), value="random")(x, generator())
    noise = y[y != 9]
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert np.array_equal(T.RandomErasing(1, scale=(1, 1), ratio=(1, 1))(x), x)
    assert np.array_equal(T.RandomErasing(0)(x), x)


@pytest.mark.parametrize("size", [(9, 7), (5, 4), (18, 14), (4, 20), (1, 1), (3, 7), (8, 6), (25, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resize_is_pytorchs(size: tuple[int, int], dtype: Any) -> None:
    x = pictures(3, 2, dtype=dtype)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(x), size=size, mode="bilinear", antialias=True, align_corners=False
    )
    np.testing.assert_allclose(T.Resize(size)(x), expected.numpy(), rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_resize_of_the_shorter_side() -> None:
    assert T.Resize(14)(pictures(2, 1, 9, 7)).shape == (2, 1, 18, 14)
    assert T.Resize(3)(pictures(2, 1, 4, 9)).shape == (2, 1, 3, 6)
    assert T.Resize([3])(pictures(2, 1, 4, 9)).shape == (2, 1, 3, 6)  # type: ignore[arg-type] # as in torchvision
    assert T.Resize(1)(pictures(2, 1, 4, 9)).shape == (2, 1, 1, 2)
    x = pictures()
    assert np.array_equal(T.Resize((9, 7))(x), x)


# Warps


def grid(h: int, w: int, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(h, dtype=dtype)[:, None], np.arange(w, dtype=dtype)[None]


@pytest.mark.parametrize("fill", [0.0, "edge"])
@pytest.mark.parametrize("n", [1, 5, 1000])
def test_resampling_is_pytorchs(fill: Any, n: int) -> None:
    h, w, oh, ow = 9, 7, 5, 6
    x = np.random.default_rng(0).normal(size=(n, 3, h, w))
    rng = np.random.default_rng(2)
    rows, columns = rng.uniform(-3, h + 2, (n, oh, ow)), rng.uniform(-3, w + 2, (n, oh, ow))
    places = np.stack([(2 * columns + 1) / w - 1, (2 * rows + 1) / h - 1], axis=-1)
    mode = "border" if fill == "edge" else "zeros"
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(x), torch.from_numpy(places), mode="bilinear", padding_mode=mode, align_corners=False
    )
    np.testing.assert_allclose(resample(x, (rows, columns), fill), expected.numpy(), atol=1e-12)


def test_resampling_at_the_pixels_and_far_outside() -> None:
    x = pictures()
    assert np.array_equal(resample(x, grid(9, 7, np.float32), 0), x)
    far = (np.full((4, 1, 1), 1e30, np.float32), np.full((4, 1, 1), -1e30, np.float32))
    assert (resample(x, far, 0.5) == 0.5).all()
    assert np.array_equal(resample(x, far, "edge")[..., 0, 0], x[..., -1, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fill", [0, "edge"])
def test_no_motion_changes_nothing(dtype: Any, fill: Any) -> None:
    for shape in ((9, 7), (8, 6), (1, 1), (1, 5)):
        x = pictures(3, 2, *shape, dtype=dtype)
        assert np.array_equal(T.RandomAffine(0, (0, 0), (1, 1), 0, fill)(x), x)
        assert np.array_equal(T.RandomAffine(0, fill=fill)(x), x)
        assert np.array_equal(T.ElasticTransform(0, 2, fill)(x), x)


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (-90, 1), (180, 2), (450, -1)])
def test_affine_turns_clockwise(degrees: float, turns: int) -> None:
    x = pictures(3, 2, 8, 8, dtype=np.float64)
    y = T.RandomAffine((degrees, degrees))(x)
    np.testing.assert_allclose(y, np.rot90(x, turns, axes=(2, 3)), atol=1e-13)


def test_affine_turns_around_the_middle_of_any_picture() -> None:
    x = pictures(3, 2, 9, 7, dtype=np.float64)
    y = T.RandomAffine((90, 90), fill=-1)(x)
    expected = np.full_like(x, -1)
    expected[:, :, 1:8] = np.rot90(x[:, :, 1:8], -1, axes=(2, 3))
    np.testing.assert_allclose(y[:, :, 1:8], expected[:, :, 1:8], atol=1e-13)
    np.testing.assert_allclose(y[:, :, [0, 8]], -1, atol=1e-13)


@pytest.mark.parametrize("fill", [0.5, "edge"])
def test_affine_shifts(fill: Any) -> None:
    """By whole pixels: 2 to the right and 3 up, set in place of the draws."""
    x = pictures(2, 1, 9, 7)
    affine = T.RandomAffine(0, (1, 1), fill=fill)
    still = affine.draw(2, (9, 7), generator())
    still[1][:], still[2][:] = 2, -3
    y = resample(x, affine.sources(still, grid(9, 7, np.float32), (9, 7)), affine.fill)
    padded = np.pad(
        x, ((0, 0), (0, 0), (0, 3), (2, 0)), **({"mode": "edge"} if fill == "edge" else {"constant_values": 0.5})
    )
    assert np.array_equal(y, padded[:, :, 3:, :7])


def test_affine_enlarges_from_the_middle() -> None:
    x = pictures(1, 1, 9, 9, dtype=np.float64)
    y = T.RandomAffine(0, scale=(2, 2))(x)
    assert np.array_equal(y[..., ::2, ::2], x[..., 2:7, 2:7])


def test_affine_shears() -> None:
    """By 45 degrees each row moves by its distance from the middle: those above to the right."""
    x = pictures(1, 1, 5, 5, dtype=np.float64)
    y = T.RandomAffine(0, shear=(45, 45))(x)
    for i in range(5):
        for j in range(5):
            source = j + (i - 2)
            assert y[0, 0, i, j] == pytest.approx(x[0, 0, i, source] if 0 <= source < 5 else 0, abs=1e-12)
    z = T.RandomAffine(0, shear=(0, 0, 45, 45))(x)
    np.testing.assert_allclose(z, y_of_transposed(x), atol=1e-12)


def y_of_transposed(x: np.ndarray) -> np.ndarray:
    return T.RandomAffine(0, shear=(45, 45))(x.swapaxes(2, 3)).swapaxes(2, 3)


def test_affine_matrix_by_hand() -> None:
    """Turn, scale and both shears in torchvision's written-out form."""
    angle, scale, x, y = 0.3, 1.2, 0.2, -0.1
    expected = [
        [math.cos(angle - y) / math.cos(y), -math.cos(angle - y) * math.tan(x) / math.cos(y) - math.sin(angle)],
        [math.sin(angle - y) / math.cos(y), -math.sin(angle - y) * math.tan(x) / math.cos(y) + math.cos(angle)],
    ]
    got = affine_matrix(*(np.array([v]) for v in (math.degrees(angle), scale, math.degrees(x), math.degrees(y))))
    np.testing.assert_allclose(got[0], scale * np.array(expected), rtol=1e-13)


def test_affine_draws_within_its_limits() -> None:
    affine = T.RandomAffine((-10, 30), (0.1, 0.25), (0.8, 1.5), (1, 2, 3, 4))
    limits = [(-10, 30), (-4, 4), (-5, 5), (0.8, 1.5), (1, 2), (3, 4)]
    for drawn, (low, high) in zip(affine.draw(2000, (20, 40), generator()), limits):
        width = high - low
        assert low <= drawn.min() < low + 0.01 * width
        assert high - 0.01 * width < drawn.max() <= high
        assert abs(drawn.mean() - (low + high) / 2) < 0.03 * width


def averaged_noise(n: int, size: int, alpha: float, sigma: float) -> np.ndarray:
    """Displacements by the textbook: uniform noise at each pixel, averaged by a Gaussian, times alpha / 2."""
    reach = math.ceil(5 * sigma)
    noise = np.random.default_rng(0).uniform(-1, 1, (n, size + 2 * reach, size + 2 * reach))
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (1, 2):
        noise = np.apply_along_axis(np.convolve, axis, noise, weights, mode="valid")
    return alpha / 2 * noise


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5, 4.0])
def test_elastic_displacements_are_averaged_noise(sigma: float) -> None:
    """Standard deviation and correlation along both axes, and in each place the same."""
    n, size, alpha = 1500, 12, 10.0
    expected = averaged_noise(n, size, alpha, sigma)
    rows, columns = T.ElasticTransform(alpha, sigma).draw(n, (size, size), generator())
    for drawn in (rows, columns):
        assert drawn.std() == pytest.approx(expected.std(), rel=0.04)
        for d in (1, 3, 7):
            for a, b in ((np.s_[:, d:], np.s_[:, :-d]), (np.s_[:, :, d:], np.s_[:, :, :-d])):
                correlation = (drawn[a] * drawn[b]).mean() / drawn.var()
                assert correlation == pytest.approx((expected[a] * expected[b]).mean() / expected.var(), abs=0.04)
        assert abs(drawn.mean()) < 0.1 * drawn.std()
        in_each_place = drawn.std(axis=0) / drawn.std()
        assert in_each_place.min() > 0.9
        assert in_each_place.max() < 1.1
    assert abs((rows * columns).mean()) < 0.05 * rows.std() * columns.std()


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0, 5.0, 8.0])
def test_elastic_bumps_have_the_filters_correlation(sigma: float) -> None:
    bumps = gaussian_bumps(40, sigma)
    covariance = bumps @ bumps.T
    np.testing.assert_allclose(np.diag(covariance), covariance[0, 0], rtol=1e-12)
    reach = math.ceil(8 * sigma)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    filtered = np.correlate(weights, weights, mode="full")[2 * reach :]
    assert covariance[0, 0] == pytest.approx(filtered[0], rel=1e-6)
    at = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    expected = np.concatenate([filtered, np.zeros(40)])[at]
    assert np.abs(covariance - expected).max() / covariance[0, 0] < 2e-4  # up to the border


def test_elastic_moves_pixels_by_its_displacements() -> None:
    """On a picture of its own coordinates the change is the displacement, inside the border."""
    h, w = 30, 40
    x = np.broadcast_to(np.stack(np.broadcast_arrays(*grid(h, w))), (5, 2, h, w))
    elastic = T.ElasticTransform(20, 4)
    y = elastic(x, generator())
    rows, columns = elastic.draw(5, (h, w), generator())
    assert np.abs(rows).max() < 5
    inside = np.s_[:, 5:-5, 5:-5]
    np.testing.assert_allclose((y - x)[:, 0][inside], rows[inside], atol=1e-5)
    np.testing.assert_allclose((y - x)[:, 1][inside], columns[inside], atol=1e-5)


def smooth(h: int = 24, w: int = 20) -> np.ndarray:
    rows, columns = grid(h, w)
    return np.stack([np.sin(rows / 5) * np.cos(columns / 6), rows + columns])[None].repeat(6, axis=0)


def test_compose_resamples_once() -> None:
    """A straight line of values survives interpolation, so there one resampling and two agree inside."""
    affine, elastic = T.RandomAffine(10, (0.05, 0.05), fill="edge"), T.ElasticTransform(10, 4, fill="edge")
    together = T.Compose([affine, elastic])(smooth(), generator())
    g = generator()
    apart = elastic(affine(smooth(), g), g)
    assert g.position > 0
    inside = np.s_[:, :, 7:-7, 7:-7]
    assert not np.array_equal(together[inside], apart[inside])
    np.testing.assert_allclose(together[:, 1:][inside], apart[:, 1:][inside], atol=1e-4)
    np.testing.assert_allclose(together[:, :1][inside], apart[:, :1][inside], atol=0.03)


def test_compose_joins_affine_maps_in_their_order() -> None:
    """Turning and then shearing is another map than the reverse."""
    turn, shear = T.RandomAffine((90, 90)), T.RandomAffine(0, shear=(45, 45))
    x = pictures(2, 1, 7, 7, dtype=np.float64)
    x[:, :, [0, 1, 5, 6]] = x[:, :, :, [0, 1, 5, 6]] = 0
    np.testing.assert_allclose(T.Compose([turn, shear])(x), shear(turn(x)), atol=1e-12)
    assert not np.allclose(T.Compose([turn, shear])(x), turn(shear(x)))


@pytest.mark.parametrize(
    "warps",
    [
        (T.ElasticTransform(10, 2), T.RandomAffine(10)),
        (T.RandomAffine(10, fill=1), T.RandomAffine(10)),
        (T.RandomAffine(10), T.RandomHorizontalFlip(), T.ElasticTransform(10, 2)),
        (T.Normalize(0.5, 0.5), T.RandomLight(0.3), T.RandomCrop(5), T.ElasticTransform(10, 2)),
    ],
    ids=repr,
)
def test_compose_is_one_after_another(warps: Any) -> None:
    x, g = pictures(), generator()
    expected = x
    for warp in warps:
        expected = warp(expected, g)
    assert np.array_equal(T.Compose(warps)(x, generator()), expected)


def test_compose_takes_functions_and_nests() -> None:
    x = pictures()
    assert np.array_equal(T.Compose([lambda batch: batch[:, :1] * 2, T.Resize(4)])(x), T.Resize(4)(x[:, :1] * 2))
    nested = T.Compose([T.Compose([T.RandomLight(0.3)]), T.RandomHorizontalFlip()])
    flat = T.Compose([T.RandomLight(0.3), T.RandomHorizontalFlip()])
    assert np.array_equal(nested(x, generator()), flat(x, generator()))
    assert np.array_equal(T.Compose([])(x), x)


def test_a_users_own_transform() -> None:
    class Negative(T.Transform):
        def apply(self, images: Any) -> Any:
            return 1 - images

    class RandomNegative(T.RandomTransform):
        def __init__(self, p: float) -> None:
            self.p = p

        def apply_random(self, images: Any, generator: Generator) -> Any:
            chosen = generator.bernoulli(self.p, (len(images), 1, 1, 1))
            return np.where(chosen, 1 - images, images)

    x = pictures()
    assert np.array_equal(Negative()(x[0]), 1 - x[0])
    assert np.array_equal(T.Compose([Negative(), RandomNegative(1)])(x), 1 - (1 - x))
    assert repr(RandomNegative(0.5)) == "RandomNegative(p=0.5)"
    with pytest.raises(NotImplementedError, match="Transform needs a method apply"):
        T.Transform()(x)


# Refusals


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: T.RandomHorizontalFlip(1.5), ShapeError, "RandomHorizontalFlip: p is 1.5, needs a number in [0, 1]"),
        (lambda: T.RandomHorizontalFlip("x"), DTypeError, "RandomHorizontalFlip: p must be a number, got 'x'"),
        (lambda: T.RandomCrop(0), ShapeError, "RandomCrop: size is 0, needs at least 1"),
        (lambda: T.RandomCrop((3, 4, 5)), ShapeError, "RandomCrop: size has 3 numbers (3, 4, 5), needs one or two"),
        (lambda: T.RandomCrop(3, -1), ShapeError, "RandomCrop: padding is -1, needs at least 0"),
        (lambda: T.RandomCrop(3, (1, 2, 3)), ShapeError, "RandomCrop: padding has 3 numbers, needs 1, 2 or 4"),
        (lambda: T.RandomCrop(3, fill="wrap"), ShapeError, "RandomCrop: fill is 'wrap', needs one of 'edge'"),
        (
            lambda: T.RandomCrop((10, 7))(pictures()),
            ShapeError,
            "RandomCrop: size (10, 7) is larger than the picture, 9 x 7 pixels with its padding; give more padding",
        ),
        (lambda: T.RandomErasing(-0.1), ShapeError, "RandomErasing: p is -0.1, needs a number in [0, 1]"),
        (lambda: T.RandomErasing(scale=0.5), ShapeError, "RandomErasing: scale is 0.5, needs two numbers (smallest"),
        (lambda: T.RandomErasing(scale=(0.5, 2)), ShapeError, "RandomErasing: scale is 2, needs a number in [0, 1]"),
        (lambda: T.RandomErasing(ratio=(0, 2)), ShapeError, "RandomErasing: ratio is 0, needs a number in (0, inf]"),
        (lambda: T.RandomErasing(ratio=(3, 2)), ShapeError, "RandomErasing: ratio is (3, 2), needs finite numbers"),
        (lambda: T.RandomErasing(value="x"), ShapeError, "RandomErasing: value is 'x', needs one of 'random'"),
        (
            lambda: T.RandomErasing(value=(1, 2, 3))(pictures()),
            ShapeError,
            "RandomErasing: images have 2 channels, value has 3 numbers",
        ),
        (lambda: T.RandomAffine(-5), ShapeError, "RandomAffine: degrees is -5, needs a number in [0, inf]"),
        (lambda: T.RandomAffine((5, -5)), ShapeError, "RandomAffine: degrees is (5, -5), needs finite numbers"),
        (lambda: T.RandomAffine(math.inf), ShapeError, "RandomAffine: degrees is (-inf, inf), needs finite numbers"),
        (
            lambda: T.RandomAffine(0, 0.1),
            ShapeError,
            "RandomAffine: translate is 0.1, needs two fractions (of W, of H)",
        ),
        (lambda: T.RandomAffine(0, (0, 2)), ShapeError, "RandomAffine: translate is 2, needs a number in [0, 1]"),
        (lambda: T.RandomAffine(0, scale=(0, 1)), ShapeError, "RandomAffine: scale is 0, needs a number in (0, inf]"),
        (lambda: T.RandomAffine(0, shear=90), ShapeError, "RandomAffine: shear is 90, needs angles between -90 and 90"),
        (lambda: T.RandomAffine(0, fill=None), DTypeError, "RandomAffine: fill must be a number, got None"),
        (lambda: T.ElasticTransform(-1), ShapeError, "ElasticTransform: alpha is -1, needs a number in [0, inf]"),
        (lambda: T.ElasticTransform(1, -2), ShapeError, "ElasticTransform: sigma is -2, needs a number in (0, inf]"),
        (lambda: T.ElasticTransform(1, 0), ShapeError, "ElasticTransform: sigma is 0, needs a number in (0, inf]"),
        (
            lambda: T.ElasticTransform(math.inf),
            ShapeError,
            "ElasticTransform: alpha is inf, sigma is 5.0; needs finite",
        ),
        (lambda: T.ColorJitter(-0.1), ShapeError, "ColorJitter: brightness is -0.1, needs a number in [0, inf]"),
        (lambda: T.ColorJitter(0, (-1, 1)), ShapeError, "ColorJitter: contrast is -1, needs a number in [0, inf]"),
        (lambda: T.RandomLight(1.5), ShapeError, "RandomLight: strength is 1.5, needs a number in [0, 1]"),
        (lambda: T.Normalize(0, 0), ShapeError, "Normalize: std is (0.0,), needs numbers above 0"),
        (lambda: T.Normalize((), 1), ShapeError, "Normalize: mean is empty, needs one number for each channel"),
        (
            lambda: T.Normalize((0, 0, 0), 1)(pictures()),
            ShapeError,
            "Normalize: images have 2 channels, mean has 3 numbers",
        ),
        (lambda: T.Resize(0), ShapeError, "Resize: size is 0, needs at least 1"),
        (lambda: T.Resize((3, 4.5)), DTypeError, "Resize: size must be a whole number, got 4.5"),
        (lambda: T.Compose([3]), DTypeError, "Compose: 3 is no transform, needs functions of a batch (N, C, H, W)"),
        (lambda: T.Compose(T.Resize(3)), DTypeError, "Compose: transforms must be a list, got Resize"),
    ],
)
def test_refusals(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_names_and_argument_order_are_torchvisions() -> None:
    expected = {
        T.Normalize: ["mean", "std"],
        T.RandomHorizontalFlip: ["p"],
        T.RandomCrop: ["size", "padding", "fill"],
        T.RandomAffine: ["degrees", "translate", "scale", "shear", "fill"],
        T.RandomErasing: ["p", "scale", "ratio", "value"],
        T.ElasticTransform: ["alpha", "sigma", "fill"],
        T.ColorJitter: ["brightness", "contrast"],
        T.RandomLight: ["strength"],
        T.Resize: ["size"],
        T.Compose: ["transforms"],
    }
    for transform, names in expected.items():
        assert list(inspect.signature(transform).parameters) == names
