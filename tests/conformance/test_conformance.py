"""A part of the samples of `make conformance` in the ordinary tests, all of them with --full."""

import inspect
from collections.abc import Iterable

import pytest

import minicnn.functional as F
from tests.conformance import onnx_nodes, pytorch_samples, refusals
from tests.conformance.pytorch_samples import Form
from tests.conformance.table import Outcome, lines
from tests.conftest import DEVICES

FUNCTIONS = [form for form in pytorch_samples.forms() if "(" not in form.name]
NO_SAMPLES = {"fold", "index", "lp_pool2d"}
"""Operations that op_db does not know by these names; `index` is sampled as __getitem__, the others by ONNX."""


def wrong(outcomes: Iterable[Outcome]) -> list[str]:
    return [f"{o.sample}: {o.text}" for o in outcomes if o.verdict == "wrong"]


@pytest.mark.parametrize("form", FUNCTIONS, ids=lambda form: form.name)
def test_a_few_samples_of_pytorch(form: Form) -> None:
    assert wrong(pytorch_samples.outcomes(form, ("cpu",), most=3)) == []


@pytest.mark.parametrize("case", onnx_nodes.cases()[::3], ids=lambda case: case.name)
def test_a_third_of_onnx(case: onnx_nodes.NodeCase) -> None:
    assert wrong([onnx_nodes.judge(case, "cpu")]) == []


def test_every_operation_is_sampled() -> None:
    sampled = {form.name.removeprefix("nn.functional.").partition(".")[0] for form in FUNCTIONS}
    operations = {name for name, value in vars(F).items() if inspect.isfunction(value)}
    assert operations - sampled - NO_SAMPLES == set()


def test_entries_left_out_exist() -> None:
    names = {f"{e.name}.{e.variant_test_name}".rstrip(".") for e in pytorch_samples.op_db}
    assert set(pytorch_samples.LEFT_OUT) <= names


def test_a_refusal_without_a_listed_reason_is_wrong() -> None:
    text = "conv2d: input has 3 channels, weight (8, 4, 3, 3) with groups=1 needs 4"
    assert refusals.reason(refusals.LIMITS, "nn.functional.conv2d", text) == ""
    text = "conv2d: input has shape (3, 5, 5), needs a batch (N, C, H, W); give a single image its batch axis with"
    assert refusals.reason(refusals.LIMITS, "nn.functional.conv2d", text).startswith("rank: images come in batches")
    assert refusals.reason(refusals.LIMITS, "nn.functional.linear", text) == ""


def test_the_table_counts_and_gives_reasons() -> None:
    outcomes = [
        Outcome("PyTorch", "add", "float64[0]", "passed"),
        Outcome("PyTorch", "add", "float64[1]", "wrong", "off by 1"),
        Outcome("ONNX", "Mod", "test_mod", "refused", "attribute fmod", "no fmod"),
    ]
    table = "\n".join(lines(outcomes))
    assert "add            1        ·        1" in table
    assert "refused 1 times: no fmod\n        1 ONNX Mod: attribute fmod" in table
    assert "WRONG PyTorch add float64[1]: off by 1" in table
    assert table.endswith("PyTorch: 1 passed, 0 refused, 1 wrong\nONNX: 0 passed, 1 refused, 0 wrong")


@pytest.mark.full
def test_every_sample_passes_or_is_refused_for_a_listed_reason() -> None:
    outcomes = [o for form in pytorch_samples.forms() for o in pytorch_samples.outcomes(form, DEVICES)]
    outcomes += [onnx_nodes.judge(case, device) for case in onnx_nodes.cases() for device in DEVICES]
    assert wrong(outcomes) == []
    reasons = {o.reason for o in outcomes}
    assert [limit for limit in [*refusals.LIMITS, *refusals.ACCEPTED] if limit.reason not in reasons] == []
