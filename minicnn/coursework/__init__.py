"""Exercises for a course: files to fill in, and a grader that says what is wrong.

stubs/             what a student gets
exercise.py        what an exercise consists of
dense.py images.py normalising.py    the exercises: inputs, right results, usual mistakes
compare.py         how a wrong result is described
functions.py       the student's functions as the grader calls them
forward.py gradients.py    a forward pass is compared, a backward pass goes to the gradient checker
grade.py result.py the grader, and what it finds
report.py          what it prints and writes

The student's code runs in a process of its own (../gradient_checking/student.py), which never sees a right result:
whatever it does to NumPy or to its own process, numbers are compared here.
"""
