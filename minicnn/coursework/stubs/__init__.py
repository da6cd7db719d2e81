"""The files that `minicnn coursework new NAME` hands out, one per exercise: formulas and shapes, no solutions."""
