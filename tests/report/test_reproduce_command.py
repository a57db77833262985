"""The command that makes a comparison again."""

from dataclasses import replace

from compare import synthetic
from compare.synthetic import comparison, design
from dropsmith.compare import Comparison
from dropsmith.report.reproduce_command import Place, comparison_command
from dropsmith.tasks import DataOptions
from report.test_comparison_html import given


def test_data_of_a_place_that_is_not_known_is_called_dir():
    assert "--data DIR" in comparison_command(given(comparison({"dropout": [0.1, 0.2]})))


def test_a_path_that_is_given_is_in_the_command_of_a_task_and_is_the_task_of_ones_own(tmp_path):
    found = given(comparison({"dropout": [0.1, 0.2]}))
    assert comparison_command(found, Place(data=tmp_path)).startswith(
        "dropsmith compare digits --with dropout"
    )
    assert comparison_command(found, Place(data=tmp_path)).endswith(f" --data {tmp_path}")
    for record in found.records:
        record.config["task"] = "cats"
    assert comparison_command(found, Place(data=tmp_path)).startswith(
        f"dropsmith compare {tmp_path} --with dropout"
    )
    assert "--data" not in comparison_command(found, Place(data=tmp_path))
    assert comparison_command(found).startswith("dropsmith compare PATH/cats --with dropout")


def test_a_precision_that_is_not_the_usual_one_is_in_the_comparison_command():
    found = comparison({"dropout": [0.1, 0.2]})
    assert "--precision" not in comparison_command(found)
    for record in found.records:
        record.config["precision"] = "bf16"
    assert comparison_command(found).endswith(" --precision bf16")


def test_rates_and_steps_that_are_not_the_usual_ones_are_in_the_comparison_command():
    usual = comparison({"none": [0.1, 0.2], "dropout": [0.1, 0.2]})
    for option in ("--rates", "--batch-size", "--learning-rate"):
        assert option not in comparison_command(usual)
    budget = replace(synthetic.TASK.budget, batch_size=20, learning_rate=0.004)
    made = design(("none", "dropout"), rates=(0.05, 0.1, 0.25), budget=budget)
    rows = tuple(synthetic.row(made, name, [0.1, 0.2]) for name in made.methods)
    found = comparison_command(Comparison(task="digits", rows=rows))
    assert "--trials 3 --rates 0.05,0.1,0.25" in found
    assert "--batch-size 20 --learning-rate 0.004" in found


def test_learning_rates_that_were_tried_stand_in_place_of_one_and_batches_are_told():
    budget = replace(synthetic.TASK.budget, batches="length")
    made = design(("dropout",), learning_rates=(0.004, 0.002, 0.001), budget=budget)
    row = synthetic.row(made, "dropout", [0.1, 0.2])
    found = comparison_command(Comparison(task="digits", rows=(row,)))
    assert "--learning-rates 0.004,0.002,0.001" in found
    assert "--learning-rate " not in found
    assert "--batches length" in found


def test_the_one_rate_of_a_comparison_that_tuned_nothing_is_in_the_comparison_command():
    made = design(("dropout",), rates=(0.05,), trials=1)
    row = synthetic.row(made, "dropout", [0.1, 0.2], trials=(0.3,))
    found = comparison_command(Comparison(task="digits", rows=(replace(row, trials=()),)))
    assert "--trials 1 --rates 0.05" in found


def test_repeats_that_were_left_out_are_in_the_command_by_the_record_and_once():
    found = comparison({"dropout": [0.1, 0.2]})
    told = Place(data_options=DataOptions(drop_repeats="train"))
    assert "--drop-repeats" not in comparison_command(found, told)
    for record in found.records:
        record.config["drop_repeats"] = "train"
    for place in (Place(), told):
        assert comparison_command(found, place).count(" --drop-repeats train") == 1


def test_examples_without_a_label_are_in_the_comparison_command():
    made = design(("dropout", "uda"), labels=100, unlabelled_ratio=3)
    rows = tuple(synthetic.row(made, name, [0.1, 0.2]) for name in made.methods)
    found = comparison_command(Comparison(task="digits", rows=rows))
    assert "--labels 100 --unlabelled-ratio 3" in found
    assert "--unlabelled PATH" not in found
