"""The command line `minicnn …` (= `python -m minicnn …`): one file per command in `minicnn/commands/`.

Exit codes: 0 done, 1 the answer is no (a check failed), 2 usage or bad input, 130 interrupted (state saved).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .commands.doctor_command import version_of
from .errors import MinicnnError

COMMANDS = {
    "data": "fetch and verify the ORL faces, draw contact sheets",
    "train": "train a network and fill a run folder",
    "eval": "test accuracy of a run, or of a network with its weights on ImageNet",
    "predict": "who is on these pictures, by a run",
    "verify": "do two pictures of faces show one person",
    "identify": "who is on these pictures of faces, by one picture of each person",
    "summary": "layers, shapes, parameters, multiply-adds and memory of a model",
    "gradcheck": "check the gradients of what is in a file",
    "coursework": "exercises: files to fill in, and a grader",
    "bench": "measure speed",
    "export": "a model's weights as safetensors or npz, a network as ONNX",
    "doctor": "what is installed, which devices work, threads, caches",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="minicnn", description="Convolutional networks written to be read.",
        epilog="Example: minicnn train --model resnet_orl --out runs/first",
    )  # fmt: skip
    root.add_argument("--version", action="version", version=f"minicnn {version_of('minicnn')}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        module = import_module(f"{__package__}.commands.{name}_command")
        command = commands.add_parser(
            name, help=text, description=module.__doc__, epilog=f"Example: {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; wrong usage ends in argparse's SystemExit(2)."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows its code
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as `| head`, has gone; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MinicnnError, OSError) as error:
        print(f"minicnn {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"minicnn {options.command}: interrupted{stop}", file=sys.stderr)
        return 130
