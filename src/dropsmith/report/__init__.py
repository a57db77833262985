"""Records as tables, pictures and one HTML page."""

from dropsmith.report.answer_paragraph import AnswerText, answer_object, answer_text
from dropsmith.report.cells import Cell, Grid
from dropsmith.report.comparison_grids import (
    control_grid,
    main_grid,
    price_grid,
    sampled_grid,
    trial_grid,
)
from dropsmith.report.comparison_html import page, write_page
from dropsmith.report.comparison_sentences import findings
from dropsmith.report.figures import (
    BETTER,
    BLUE,
    INK,
    ORANGE,
    QUIET,
    WORSE,
    blank,
    drawing,
    svg,
)
from dropsmith.report.html import check_regular
from dropsmith.report.judged_prediction import JudgedPrediction, of_inputs, pictures_of
from dropsmith.report.numbers import LOSSES, brief
from dropsmith.report.prediction_html import prediction_page, write_prediction_page
from dropsmith.report.reproduce_command import Place
from dropsmith.report.runs import runs_grid, runs_in, starting_weights
from dropsmith.report.runs_html import runs_page, write_runs_page
from dropsmith.report.search_grids import plan_grid, trials_grid
from dropsmith.report.search_html import search_page, stands_for, write_search_page
from dropsmith.report.search_paragraph import search_answer
from dropsmith.report.search_sentences import search_findings
from dropsmith.report.text_tables import markdown_table, rich_table, write_between

__all__ = [
    "BETTER",
    "BLUE",
    "INK",
    "LOSSES",
    "ORANGE",
    "QUIET",
    "WORSE",
    "AnswerText",
    "Cell",
    "Grid",
    "JudgedPrediction",
    "Place",
    "answer_object",
    "answer_text",
    "blank",
    "brief",
    "check_regular",
    "control_grid",
    "drawing",
    "findings",
    "main_grid",
    "markdown_table",
    "of_inputs",
    "page",
    "pictures_of",
    "plan_grid",
    "prediction_page",
    "price_grid",
    "rich_table",
    "runs_grid",
    "runs_in",
    "runs_page",
    "sampled_grid",
    "search_answer",
    "search_findings",
    "search_page",
    "stands_for",
    "starting_weights",
    "svg",
    "trial_grid",
    "trials_grid",
    "write_between",
    "write_page",
    "write_prediction_page",
    "write_runs_page",
    "write_search_page",
]
