"""Conditions on the rows of a table, such as ``dataset == 'nyuv2' and eps in (4, 8)``: parsed, never run as code."""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.errors import UsageError
from mtlbench.options import near

OPTION = "report.where"
LONGEST = 1000
DEEPEST = 50
EXAMPLE = "dataset == 'nyuv2' and eps in (4, 8)"

Mask = NDArray[np.bool_]
Literal = str | float
Test = Callable[[pd.DataFrame], Mask]

COMPARISONS: dict[type[ast.cmpop], Callable[[pd.Series, Literal], pd.Series]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{kind: kind for kind in COMPARISONS},
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
"""The same comparison with its sides exchanged."""


@dataclass(frozen=True)
class Where:
    """A condition.

    Attributes:
        text: as it was given.
        columns: that it compares.
        test: function from a frame to which of its rows meet the condition, bool [rows].
    """

    text: str
    columns: frozenset[str]
    test: Test

    @staticmethod
    def parse(text: str) -> "Where":
        """The condition in `text`.

        Raises:
            UsageError: it is none.
        """
        if len(text) > LONGEST:
            raise UsageError(f"{OPTION}={text[:60]}...: expected at most {LONGEST} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UsageError(_expected(text, "not a condition")) from error
        columns = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        return Where(text, columns, _Parser(text.strip()).condition(tree))

    def rows(self, frame: pd.DataFrame) -> Mask:
        """Which rows of a frame meet it, bool [rows].

        Raises:
            UsageError: a column is not in the frame, or compared with what it does not hold.
        """
        known = list(map(str, frame))
        for name in sorted(self.columns - set(known)):
            raise UsageError(
                f"{OPTION}={self.text}: no column is called {name}{near(name, known)}; there are {', '.join(known)}"
            )
        return self.test(frame)


def _expected(text: str, problem: str) -> str:
    return (
        f"{OPTION}={text}: {problem}; expected comparisons of columns with numbers, 'texts' or lists of them, "
        f"as in {EXAMPLE}"
    )


@dataclass(frozen=True)
class _Parser:
    """Makes functions of the nodes of a parsed condition; `text` is what was parsed."""

    text: str

    def condition(self, node: ast.expr, depth: int = DEEPEST) -> Test:
        if not depth:
            raise UsageError(f"{OPTION}={self.text}: expected at most {DEEPEST} conditions inside each other")
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(part, depth - 1) for part in node.values]
            combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return lambda frame: combine.reduce([part(frame) for part in parts])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.condition(node.operand, depth - 1)
            return lambda frame: ~inner(frame)
        if not isinstance(node, ast.Compare):
            raise self.error(node)
        sides = [node.left, *node.comparators]  # 2 <= eps < 8 is two comparisons
        tests = [self.comparison(*three) for three in zip(sides, node.ops, sides[1:], strict=False)]
        return lambda frame: np.logical_and.reduce([test(frame) for test in tests])

    def comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Test:
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(left, ast.Name):
                raise self.error(left)
            return self.membership(left.id, self.literals(right), isinstance(op, ast.In))
        if type(op) not in COMPARISONS:
            raise self.error(left)
        if isinstance(left, ast.Name):
            return self.comparison_with(left.id, type(op), self.literal(right))
        if isinstance(right, ast.Name):
            return self.comparison_with(right.id, MIRRORED[type(op)], self.literal(left))
        raise self.error(left)

    def comparison_with(self, name: str, kind: type[ast.cmpop], value: Literal) -> Test:
        def test(frame: pd.DataFrame) -> Mask:
            self.check(frame[name], value)
            return COMPARISONS[kind](frame[name], value).to_numpy(bool)

        return test

    def membership(self, name: str, values: list[Literal], inside: bool) -> Test:
        def test(frame: pd.DataFrame) -> Mask:
            for value in values:
                self.check(frame[name], value)
            return frame[name].isin(values).to_numpy(bool) == inside

        return test

    def check(self, column: pd.Series, value: Literal) -> None:
        """Refuse a comparison that no row can meet, or that cannot be made."""
        numeric = pd.api.types.is_numeric_dtype(column)
        if numeric == isinstance(value, str):
            holds = "numbers" if numeric else "text"
            raise UsageError(f"{OPTION}={self.text}: the column {column.name} holds {holds}, not {value!r}")

    def literal(self, node: ast.expr) -> Literal:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            value = self.literal(node.operand)
            if not isinstance(value, str):
                return -value
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
            return node.value
        raise self.error(node)

    def literals(self, node: ast.expr) -> list[Literal]:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return [self.literal(element) for element in node.elts]
        raise self.error(node)

    def error(self, node: ast.expr) -> UsageError:
        found = ast.get_source_segment(self.text, node)
        return UsageError(_expected(self.text, f"cannot read {found}"))
