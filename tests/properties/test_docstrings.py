"""Docstrings are whole: what they say of arguments, fields, shapes and errors is in the code."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import soundsep.errors

PACKAGE = Path(soundsep.errors.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
HEADING = re.compile(r"^(Args|Attributes|Shape|Returns|Yields|Raises|Warns|Examples|References):$")
ENTRY = re.compile(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*): *(.*)$")
SHAPE = re.compile(r"\((?:\.\.\.[^)]*|\w+(?: [+*/-]+ \w+)*,[^)]*)?\)")  # (batch, time), (n,), ()
ARRAY = re.compile(r"\b(?:Tensor|NDArray|FloatArray|Samples)\b")
FILLERS = {"the", "a", "an", "of", "in", "its", "their", "this"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def definitions(file: Path) -> Iterator[tuple[str, Function | ast.ClassDef, ast.ClassDef | None]]:
    """Public functions, methods and classes, with the class that they are in."""

    def walk(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, ast.AST, ast.AST]]:
        for child in node.body:
            if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            hidden = child.name.startswith("_") and child.name != "__call__"  # in the reference
            if hidden or "overload" in decorators(child):
                continue
            yield f"{name}{child.name}", child, node if isinstance(node, ast.ClassDef) else None
            if isinstance(child, ast.ClassDef):
                yield from walk(child, f"{name}{child.name}.")

    yield from walk(ast.parse(file.read_text("utf-8")), "")


def decorators(node: Function | ast.ClassDef) -> str:
    return " ".join(ast.unparse(one) for one in node.decorator_list)


def sections(docstring: str) -> dict[str, str]:
    found, name = {"": ""}, ""
    for line in docstring.splitlines():
        if heading := HEADING.match(line):
            name = heading[1]
            found[name] = ""
        else:
            found[name] += line + "\n"
    return found


def entries(text: str) -> dict[str, str]:
    """What a section says of each name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := ENTRY.match(line):
            names = [name.lstrip("*") for name in match[1].split(", ")]
            found |= dict.fromkeys(names, match[2])
        elif found and line.strip():
            found[names[-1]] += " " + line.strip()
    return found


def parameters(node: Function) -> list[ast.arg]:
    given = node.args
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [one for one in every if one is not None and one.arg not in ("self", "cls")]


def raised(node: Function) -> set[str]:
    """Names of the exceptions that its own lines raise and do not catch."""
    found: set[str] = set()

    def look(part: ast.AST, caught: set[str]) -> None:
        if isinstance(part, ast.Raise) and part.exc is not None:
            name = ast.unparse(part.exc.func if isinstance(part.exc, ast.Call) else part.exc)
            if name[0].isupper() and not kinds(name) & caught:
                found.add(name)
        inside = caught
        if isinstance(part, ast.With) and "suppress(" in (items := ast.unparse(part.items[0])):
            inside = caught | {*re.findall(r"\w+", items)}
        for name, value in ast.iter_fields(part):
            children = value if isinstance(value, list) else [value]
            if isinstance(part, ast.Try) and name == "body":
                types = [handler.type for handler in part.handlers if handler.type]
                inside = caught | {*re.findall(r"\w+", " ".join(map(ast.unparse, types)))}
            for child in children:
                if isinstance(child, ast.AST) and not isinstance(child, (Function, ast.Lambda)):
                    look(child, inside if name == "body" else caught)

    look(node, set())
    return found


def kinds(name: str) -> set[str]:
    """An exception and all that it is one of."""
    found = getattr(soundsep.errors, name, None) or getattr(builtins, name, None)
    return {name} if found is None else {base.__name__ for base in found.__mro__}


def faults(node: Function | ast.ClassDef, owner: ast.ClassDef | None) -> Iterator[str]:
    docstring = ast.get_docstring(node)
    if not docstring:
        yield "has no docstring"
        return
    said = sections(docstring)
    about = entries(said.get("Args", "")) | entries(said.get("Attributes", ""))
    if isinstance(node, ast.ClassDef):
        yield from class_faults(node, said, about)
    else:
        yield from function_faults(node, owner, docstring, said, about)
    for name, text in about.items():
        words = [word for word in re.findall(r"\w+", text.lower()) if word not in FILLERS]
        if words in (name.split("_"), [f"{name}s"], []):
            yield f"says of {name} its name alone: {text!r}"
        if re.match(r"(Of|That|Those|Likewise|What|In Hz)\b", text):
            yield f"says of {name} {text!r}, which is no noun"


def class_faults(node: ast.ClassDef, said: dict[str, str], about: dict[str, str]) -> Iterator[str]:
    made = [one for one in node.body if isinstance(one, Function) and one.name == "__init__"]
    if made:
        expected = [one.arg for one in parameters(made[0])]
        if missing := [name for name in expected if name not in about]:
            yield f"says nothing of {missing}"
        yield from error_faults(made[0], said)
    bases = [ast.unparse(base) for base in node.bases]
    if "dataclass" in decorators(node) or {"NamedTuple", "TypedDict"} & {*bases}:
        fields = [
            one.target.id
            for one in node.body
            if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one.annotation)
        ]
        if missing := [name for name in fields if name[0] != "_" and name not in about]:
            yield f"says nothing of {missing}"


def function_faults(
    node: Function,
    owner: ast.ClassDef | None,
    docstring: str,
    said: dict[str, str],
    about: dict[str, str],
) -> Iterator[str]:
    names = [one.arg for one in parameters(node)]
    if "Args" in said and [*entries(said["Args"])] != names:
        yield f"has the arguments {names}, and describes {[*entries(said['Args'])]}"
    arrays = [one for one in parameters(node) if one.annotation and is_array(one.annotation)]
    has_arrays = arrays or (node.returns is not None and is_array(node.returns))
    of_class = (ast.get_docstring(owner) or "") if owner else ""
    if has_arrays and not SHAPE.search(docstring) and "Shape:" not in of_class:
        yield "takes or gives arrays, and says no shape"
    yield from error_faults(node, said)
    first = next((line for line in said.get("Returns", "").splitlines() if line.strip()), "")
    if "property" in decorators(node):
        first = docstring.splitlines()[0]
    if re.search(r":\s", re.sub(r"`[^`]*`", "", first)):
        yield f"has a colon in {first.strip()!r}, which Sphinx takes for the end of a type"


def is_array(annotation: ast.expr) -> bool:
    return "Callable" not in ast.unparse(annotation) and bool(ARRAY.search(ast.unparse(annotation)))


def error_faults(node: Function, said: dict[str, str]) -> Iterator[str]:
    stated = {*re.findall(r"^    (\w+):", said.get("Raises", ""), re.MULTILINE)}
    for name in sorted(raised(node) - {"NotImplementedError", "StopIteration", "SystemExit"}):
        if not kinds(name) & stated:
            yield f"raises {name}, and does not say so"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_docstrings_are_whole(file):
    assert [
        f"{name}, line {node.lineno}, {fault}"
        for name, node, owner in definitions(file)
        for fault in faults(node, owner)
    ] == []


def written(file: Path, head: str, docstring: str, body: str) -> list[str]:
    """The faults of a definition."""
    quoted = "\n    ".join(f'"""{docstring}"""'.splitlines()) if docstring else "..."
    file.write_text(f"{head}\n    {quoted}\n    {body or 'pass'}\n")
    ((_, node, owner), *_) = definitions(file)
    return [*faults(node, owner)]


ARGS = "D.\n\nArgs:\n    "


@pytest.mark.parametrize(
    ("head", "docstring", "body", "fault"),
    [
        ("def f():", "", "", "has no docstring"),
        ("def f(a, b):", f"{ARGS}b: The second.\n", "", "has the arguments"),
        ("def f(a):", f"{ARGS}a: Of a list.\n", "", "no noun"),
        ("def f(sample_rate):", f"{ARGS}sample_rate: The sample rate.\n", "", "its name alone"),
        ("def f(x: Tensor):", "D.", "", "no shape"),
        ("def f():", "D.", "raise ConfigError", "raises ConfigError"),
        ("def f():", "D.\n\nReturns:\n    A mean: of all.\n", "", "a colon"),
        ("class A(NamedTuple):", "D.", "a: int", "says nothing of ['a']"),
        ("class A:", "D.", "def __init__(self, a): ...", "says nothing of ['a']"),
    ],
)
def test_a_fault_is_found(head, docstring, body, fault, tmp_path):
    (found,) = written(tmp_path / "module.py", head, docstring, body)
    assert fault in found


@pytest.mark.parametrize(
    ("head", "docstring", "body"),
    [
        ("def f(a: int):", "D.", ""),
        ("def f():", "D.", "try: raise OSError\n    except OSError: pass"),
        ("def f():", "D.\n\nRaises:\n    OSError: late.\n", "raise TimeoutError"),
        ("def f(x: Tensor):", "D.\n\nShape:\n    x: (..., time).\n", ""),
        ("def f(sample_rate):", f"{ARGS}sample_rate: Rate of the file, in Hz.\n", ""),
    ],
)
def test_what_is_whole_is_left_alone(head, docstring, body, tmp_path):
    assert written(tmp_path / "module.py", head, docstring, body) == []
