"""Learning a pattern on a task: children that are trained under plans, and searches over them."""

from dropsmith.learn._learn import BESIDE, CHILDREN, LEARNED, PLAN, RETRAINED, learn
from dropsmith.learn.child import Child, child_setup
from dropsmith.learn.problem import FILE, Problem, space_of
from dropsmith.learn.searched import Searched, Searches

__all__ = [
    "BESIDE",
    "CHILDREN",
    "FILE",
    "LEARNED",
    "PLAN",
    "RETRAINED",
    "Child",
    "Problem",
    "Searched",
    "Searches",
    "child_setup",
    "learn",
    "space_of",
]
