"""`python -m tests.conformance`: every sample and how it ended, as a table; exit code 1 if anything is wrong."""

import argparse
import re
import sys

from tests.conformance import onnx_nodes, pytorch_samples, table
from tests.conftest import DEVICES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only operations whose name matches")
    parser.add_argument("--source", choices=("pytorch", "onnx"), help="only one of the two sources")
    parser.add_argument("--device", action="append", help=f"instead of {' and '.join(DEVICES)}")
    options = parser.parse_args()
    devices = tuple(options.device or DEVICES)
    outcomes: list[table.Outcome] = []
    if options.source != "onnx":
        for form in pytorch_samples.forms():
            if re.search(options.pattern, form.name):
                outcomes += pytorch_samples.outcomes(form, devices)
    if options.source != "pytorch":
        for node in onnx_nodes.cases():
            if re.search(options.pattern, node.operation):
                outcomes += (onnx_nodes.judge(node, device) for device in devices)
    for line in table.lines(outcomes):
        print(line)
    if not options.pattern and options.source != "pytorch":
        print("ONNX's operators that minicnn does not have:", *onnx_nodes.without_adapter())
    return int(any(o.verdict == "wrong" for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
