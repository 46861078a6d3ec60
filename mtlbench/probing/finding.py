"""What the questions found, in words: a finding each, and all of them as a table."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mtlbench.errors import ModelError

Severity = Literal["refuse", "warn", "info"]
SEVERITIES: tuple[Severity, ...] = ("refuse", "warn", "info")
"""The worst first."""


@dataclass(frozen=True)
class Finding:
    """One thing that a question found.

    Attributes:
        question: which one, for example ``gradient``; docs/probe.md has a paragraph for each.
        task: whose, None for the whole model.
        severity: ``refuse``: the tables would be wrong; ``warn``: they may be; ``info``: harmless.
        seen: what was seen, with the number.
        remedy: what to do, in words that can be typed.
    """

    question: str
    task: str | None
    severity: Severity
    seen: str
    remedy: str

    def __str__(self) -> str:
        """On one line."""
        return f"{self.question}{f' of {self.task}' if self.task else ''}: {self.seen}; {self.remedy}"


@dataclass(frozen=True)
class Probe:
    """What a model answered.

    Attributes:
        findings: the worst first.
        asked: the questions that were put, in their order. One that failed leaves out those that build on it.
    """

    findings: tuple[Finding, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against an attack; there may be warnings."""
        return not self.of("refuse")

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    def require(self, otherwise: str = "attack(..., probe='warn') goes on anyway, probe=None does not ask") -> None:
        """Go on only with a model that passed.

        Args:
            otherwise: how to go on all the same, in the words of who asks.

        Raises:
            ModelError: it did not; the message has every reason and its remedy.
        """
        if self.ok:
            return
        reasons = [f"  - {finding}" for finding in self.of("refuse")]
        raise ModelError(
            "\n".join(["the probe refuses the model, its tables would be wrong:", *reasons]) + f"\n{otherwise}"
        )

    def described(self) -> list[dict[str, Any]]:
        """The findings as plain data."""
        return [asdict(finding) for finding in self.findings]

    @staticmethod
    def stored(findings: Iterable[Mapping[str, Any]]) -> "Probe":
        """From `described`, read from a file."""
        return Probe(tuple(Finding(**finding) for finding in findings))

    def __str__(self) -> str:
        """A paragraph for each finding."""
        lines = [self._heading()]
        for finding in self.findings:
            name = f"{finding.question}{f' of {finding.task}' if finding.task else ''}"
            lines += ["", f"{finding.severity:<6}  {name}", f"        {finding.seen}", f"        {finding.remedy}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks."""
        columns = ("severity", "question", "task", "seen", "remedy")
        head = "".join(f"<th>{column}</th>" for column in columns)
        rows = ["".join(f"<td>{_cell(finding, column)}</td>" for column in columns) for finding in self.findings]
        table = f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>" if rows else ""
        return f"<p>{html.escape(self._heading())}</p>{table}"

    def _heading(self) -> str:
        counts = [f"{number} {severity}" for severity in SEVERITIES if (number := len(self.of(severity)))]
        asked = f" (asked: {', '.join(self.asked)})" if self.asked else ""
        return f"probe: {', '.join(counts) or 'nothing found'}{asked}"


def _cell(finding: Finding, column: str) -> str:
    return html.escape(str(getattr(finding, column) or "all"))


def each(
    question: str,
    severity: Severity,
    found: Mapping[str, str],
    tasks: Sequence[str],
    remedy: str,
) -> list[Finding]:
    """A finding for each task of `found` (task -> what was seen), or one for the whole model where all share it."""
    if len(tasks) > 1 and set(found) == set(tasks):
        seen = ", ".join(f"{task} {text}" for task, text in found.items())
        return [Finding(question, None, severity, seen, remedy)]
    return [Finding(question, task, severity, text, remedy) for task, text in found.items()]
