"""Searches for a plan on a task, whose trials train the task's model under proposed plans."""

from dropsmith.learn.child import Child, child_setup
from dropsmith.learn.learning import CHILDREN, FIXED_PLAN, LEARNED, PLAN, RETRAINED, learn
from dropsmith.learn.problem import FILE, Problem, space_of
from dropsmith.learn.search_runs import Searches, SearchRun

__all__ = [
    "CHILDREN",
    "FILE",
    "FIXED_PLAN",
    "LEARNED",
    "PLAN",
    "RETRAINED",
    "Child",
    "Problem",
    "SearchRun",
    "Searches",
    "child_setup",
    "learn",
    "space_of",
]
