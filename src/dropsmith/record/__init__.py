"""The record of one run, as a value and as a file named by its id."""

from dropsmith.record.record import (
    FORMAT,
    LOSSES,
    VERSION,
    Record,
    config_id,
    is_record,
    validation_loss,
    validation_loss_name,
)
from dropsmith.record.schema import (
    RecordId,
    StoredEnvironment,
    a_record_id_of_12_hexadecimal_digits,
)

__all__ = [
    "FORMAT",
    "LOSSES",
    "VERSION",
    "Record",
    "RecordId",
    "StoredEnvironment",
    "a_record_id_of_12_hexadecimal_digits",
    "config_id",
    "is_record",
    "validation_loss",
    "validation_loss_name",
]
