"""The definition of every operation: formula, plain NumPy pair, edge on the tape, public function.

Each file reads from top to bottom: `<op>_forward` and `<op>_backward` in the form that courses use
(`forward(...) -> (result, cache)`, `backward(dy, cache) -> gradients`), then the `Function`, then what users
call, which checks the arguments and nothing else. `minicnn.functional` is the index of all of them.
"""
