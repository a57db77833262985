"""The user's own code: objects by their names, `module:name`, the hash of sources, and faults."""

from dropsmith.user_code.fault_lines import fault_line, user_fault
from dropsmith.user_code.references import (
    import_advice,
    import_instance,
    import_module,
    import_object,
    imported_class,
    imported_object,
    instance_of,
    is_reference,
    recorded_name,
    reference_of,
)
from dropsmith.user_code.sent_modules import SentModules
from dropsmith.user_code.source_hash import is_user_module, source_hash, user_sources

__all__ = [
    "SentModules",
    "fault_line",
    "import_advice",
    "import_instance",
    "import_module",
    "import_object",
    "imported_class",
    "imported_object",
    "instance_of",
    "is_reference",
    "is_user_module",
    "recorded_name",
    "reference_of",
    "source_hash",
    "user_fault",
    "user_sources",
]
