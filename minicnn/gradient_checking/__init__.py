"""The gradient checker: compares a backward pass with the function itself, and says what is wrong with it."""

from .check import gradcheck
from .report import Diagnosis, Element, Gradient, Report

__all__ = ["Diagnosis", "Element", "Gradient", "Report", "gradcheck"]
