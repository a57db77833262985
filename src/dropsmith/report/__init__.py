"""Records as tables, pictures and one HTML page."""

from dropsmith.report.cells import Cell, Grid, control_grid, main_grid, sampled_grid, trial_grid
from dropsmith.report.findings import findings
from dropsmith.report.markdown import markdown_table, write_between
from dropsmith.report.page import page, write_page
from dropsmith.report.price import price_grid
from dropsmith.report.runs import begun, runs_grid, runs_in
from dropsmith.report.runs_page import runs_page, write_runs_page
from dropsmith.report.search_page import search_page, stands_for, write_search_page
from dropsmith.report.searched import plan_grid, search_findings, trials_grid
from dropsmith.report.table import rich_table

__all__ = [
    "Cell",
    "Grid",
    "begun",
    "control_grid",
    "findings",
    "main_grid",
    "markdown_table",
    "page",
    "plan_grid",
    "price_grid",
    "rich_table",
    "runs_grid",
    "runs_in",
    "runs_page",
    "sampled_grid",
    "search_findings",
    "search_page",
    "stands_for",
    "trial_grid",
    "trials_grid",
    "write_between",
    "write_page",
    "write_runs_page",
    "write_search_page",
]
