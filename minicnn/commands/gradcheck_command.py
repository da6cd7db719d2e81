"""Check the gradients of what stands in files: FILE::NAME, in a process with limits on time and memory.

NAME is a pair NAME_forward and NAME_backward of NumPy functions, a function of Tensors, a Function or a module.
The inputs come from --cases, or from NAME_inputs(rng) in the file, or usual shapes are tried.
A NumPy pair runs in a process of its own and is called from outside: it cannot forge the verdict. Functions of Tensors,
Functions and modules run in one process with the checker: such files are trusted more, and a note says so. What is
checked is that backward fits forward; whether forward is right, `minicnn coursework grade` says.
Exit code 0: the gradients are right; 1: wrong, crashed, or out of time or memory; 2: the file, the name or the
cases cannot be read, half a pair is missing, or an option is unusable.
"""

from __future__ import annotations

import argparse

EXAMPLE = "minicnn gradcheck student.py::conv_backward student.py::relu_backward --json report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("target", metavar="FILE::NAME", nargs="+")
    parser.add_argument("--json", metavar="FILE", help="write the reports there")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the inputs and of the search")
    parser.add_argument("--cases", metavar="FILE", help="Python file: CASES = {name: [function of rng, ...]}; or JSON")
    parser.add_argument("--mode", choices=("auto", "full", "stratified", "directional"), default="full")
    parser.add_argument("--time", type=float, default=60.0, metavar="S", help="seconds for each target (default 60)")
    parser.add_argument("--memory", type=int, default=4096, metavar="MIB", help="of address space (default 4096)")


def run(options: argparse.Namespace) -> int:
    """Check as the options say."""
    from ..gradient_checking import command

    return command.run(options)
