"""Causes of a wrong gradient: each function looks at the evidence for one kind and says how sure it is.

A finding is (certainty from 0 to 1, Diagnosis). Near 1: the mistake was reproduced, the right gradient follows from
the wrong one. Around 0.5: the pattern of wrong elements speaks for it. Near 0: nothing better was found.
"""

from __future__ import annotations

from collections.abc import Callable

from ..evidence import Evidence
from ..report import Diagnosis
from .arithmetic import ignores_dout, integer_division, lost_precision, not_finite, not_linear
from .axes import misplaced, shifted, summed_wrongly, swapped, transposed, wrong_shape
from .factors import constant_factor, missing_factor, nothing_arrives
from .places import border, branch
from .sums import overwritten
from .terms import batch_statistics, missing_term

Finding = tuple[float, Diagnosis]

CAUSES: tuple[Callable[[Evidence], list[Finding]], ...] = (
    not_finite, wrong_shape, swapped, nothing_arrives, ignores_dout, not_linear, constant_factor, transposed,
    lost_precision, integer_division, shifted, misplaced, summed_wrongly, batch_statistics, missing_factor, overwritten,
    border, branch, missing_term,
)  # fmt: skip
