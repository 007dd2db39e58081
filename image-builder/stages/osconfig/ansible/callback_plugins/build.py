# Prints what the log of a build needs: each task, everything that its programs have said, and why one has failed. What
# comes after "FAILED" is the reason; playbook.ts shows it.
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: build
    type: stdout
    short_description: The output of tasks as lines of a log
    description: One line for each task, then the output of its programs; of a failure the reason comes last.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "build"

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._print("TASK [%s]" % task.get_name().split(" : ")[-1])

    def v2_runner_on_ok(self, result):
        self._said(result)

    def v2_runner_item_on_ok(self, result):
        self._said(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        # Each item of a loop has said it already.
        if "results" not in result._result:
            self._failed(result)

    def v2_runner_item_on_failed(self, result):
        self._failed(result)

    def v2_runner_on_unreachable(self, result):
        self._failed(result)

    def _said(self, result):
        outcome = result._result
        if "results" in outcome or not (outcome.get("stdout") or outcome.get("stderr")):
            return
        self._print("OUTPUT [%s]" % self._label(outcome))
        self._quote(outcome.get("stdout"))
        self._quote(outcome.get("stderr"))

    def _failed(self, result):
        outcome = result._result
        status = outcome.get("rc")
        is_program = isinstance(outcome.get("stderr"), str) and isinstance(status, int)
        if is_program:
            self._quote(outcome.get("stdout"))
        self._print("FAILED [%s]%s" % (self._label(outcome), " status %d" % status if is_program else ""))
        if is_program:
            self._quote(outcome["stderr"])
        else:
            self._quote(outcome.get("msg"))
            self._quote(outcome.get("module_stderr"))

    def _label(self, outcome):
        return outcome.get("_ansible_item_label") or ""

    def _quote(self, text):
        # Indented, so that no program can say what only this log says.
        for line in str(text or "").splitlines():
            self._print("  " + line)

    def _print(self, text):
        self._display.display(text)
