"""The conformance kit: the rules as checks that any backend can run.

With pytest, a backend's test file is one class and one fixture:

    class TestAcme(Conformance):
        @pytest.fixture
        def subject(self, tmp_path):
            return BackendUnderTest(open=lambda: AcmeMemoryDb(tmp_path / "acme"))

``run_checks`` runs the same checks without pytest. ``docs/rules.md`` holds the rules' texts.
"""

from buddy.memory.testing.backend_under_test import BackendUnderTest, Trial
from buddy.memory.testing.check import CHECKS, Check, NotVerified, Outcome, run_checks

__all__ = ["CHECKS", "BackendUnderTest", "Check", "NotVerified", "Outcome", "Trial", "run_checks"]
