"""Every executor of this library keeps the promises it asks of others."""

from dropsmith.search import LocalExecutor, SerialExecutor
from dropsmith.testing import ExecutorContract


class TestSerial(ExecutorContract):
    apart = False

    def make(self, score, timeout=None):
        return SerialExecutor(score)


class TestLocal(ExecutorContract):
    def make(self, score, timeout=None):
        return LocalExecutor(score, 1, timeout=timeout)
