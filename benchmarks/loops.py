"""The loops of a compiled program, counted in its optimised HLO."""

import re

# What names or groups values, and costs nothing when the loop runs.
BOOKKEEPING = {"bitcast", "constant", "get-tuple-element", "parameter", "tuple"}
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = .*? ?\b([a-z][a-z0-9-]*)\(")
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) .*\{$")
CALLED = re.compile(r"(?:to_apply|body)=%?([\w.-]+)")


def computations(text: str) -> tuple[str, dict[str, list[tuple[str, str]]]]:
    """Returns the name of the entry, and of each computation its (operation, line) pairs."""
    entry, found, current = "", {}, []
    for line in re.sub(r"/\*.*?\*/", "", text).splitlines():
        begins = COMPUTATION.match(line)
        if begins:
            current = found.setdefault(begins[2], [])
            entry = begins[2] if begins[1] else entry
            continue
        instruction = INSTRUCTION.match(line)
        if instruction:
            current.append((instruction[1], line))
    return entry, found


def sizes(text: str) -> list[int]:
    """Returns how many instructions one iteration of each loop runs, in the order of the program.

    A fusion is one instruction. A call counts as what it calls, a loop inside as one, and it
    follows in the list.
    """
    entry, found = computations(text)

    def called(line: str) -> str:
        name = CALLED.search(line)
        assert name is not None, line
        return name[1]

    def count(name: str) -> int:
        return sum(
            count(called(line)) if operation == "call" else operation not in BOOKKEEPING
            for operation, line in found[name]
        )

    def visit(name: str) -> list[int]:
        counts = []
        for operation, line in found[name]:
            if operation == "while":
                counts += [count(called(line)), *visit(called(line))]
            elif operation == "call":
                counts += visit(called(line))
        return counts

    return visit(entry)
