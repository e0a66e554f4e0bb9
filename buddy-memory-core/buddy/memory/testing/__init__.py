"""The conformance kit: the rules as checks that any backend can run.

With pytest, a backend's test file is one class and one fixture:

    class TestAcme(Conformance):
        @pytest.fixture
        def subject(self, tmp_path):
            return Subject(open=lambda: AcmeMemoryDb(tmp_path / "acme"))

``run_checks`` runs the same checks without pytest. ``docs/rules.md`` holds the rules' texts.
"""

from buddy.memory.testing.check import CHECKS, Check, NotVerified, Outcome, run_checks
from buddy.memory.testing.subject import Subject, Trial

__all__ = ["CHECKS", "Check", "NotVerified", "Outcome", "Subject", "Trial", "run_checks"]
