"""Files written whole or not at all, JSON and tensors that are checked as they are read.

And what becomes of a process whose disk is full, whose folder is another's, or that is killed.
"""

from dropsmith.files.fields import OTHER_FIELDS_ALLOWED, Chance, Count, FiniteNumber, Number, Seed
from dropsmith.files.holding import hold, hold_folder
from dropsmith.files.json_files import check, json_line, json_text, parse_json, read_json
from dropsmith.files.system_faults import is_temporary, system_fault, system_sentence
from dropsmith.files.tensor_files import (
    count_mismatch,
    plain_tensors,
    read_tensors,
    tensor_mismatch,
    write_tensors,
)
from dropsmith.files.waiting import keep_trying
from dropsmith.files.whole_files import remove_leftovers, whole_file, write_text

__all__ = [
    "OTHER_FIELDS_ALLOWED",
    "Chance",
    "Count",
    "FiniteNumber",
    "Number",
    "Seed",
    "check",
    "count_mismatch",
    "hold",
    "hold_folder",
    "is_temporary",
    "json_line",
    "json_text",
    "keep_trying",
    "parse_json",
    "plain_tensors",
    "read_json",
    "read_tensors",
    "remove_leftovers",
    "system_fault",
    "system_sentence",
    "tensor_mismatch",
    "whole_file",
    "write_tensors",
    "write_text",
]
