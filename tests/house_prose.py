"""House rules for the prose of stored notebooks: furniture, links, and numbers that have a home."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]

# The header is all Markdown before the first code cell; these words must stand in it.
HEADER = {
    "a title (`# ...`) on its first line": r"\A# \S",
    "'courseware points'": r"(?i)courseware points?",
    "the time it takes ('90 minutes')": r"(?i)\d+\s+minutes",
    "'what you need'": r"(?i)you need",
    "'what you will be able to do'": r"(?i)be able to",
}
# The footer's headings, in this order, close the notebook.
FOOTER = ("recap", "decision memo", "exercises", "further reading")
START = "00_start_here"

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
# What a computation may have produced: thousands, decimals, long whole numbers, percentages, money.
RESULT = re.compile(
    rf"(?<![\w.,/])(?<!\w-)(?P<money>[$£€¥]\s?)?(?P<number>{NUMBER})"
    r"(?P<percent>\s?(?:%|per ?cent\b|percentage points?\b))?"
    r"(?![\w/-]|[.,]\d)"
)
YEAR = re.compile(r"(?:19|20)\d\d")


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def text_outputs(cell: dict[str, Any]) -> str:
    """All text that a code cell stores: streams, error values and every text/... form of its results."""
    parts = []
    for output in cell.get("outputs", []):
        data = [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
        parts += ["".join(value) for value in (*data, output.get("text", ""), output.get("evalue", ""))]
    return "\n".join(parts)


def words(markdown: str) -> int:
    """Words a reader reads: fences, tags and link targets left out; a run of Chinese is one word."""
    text = re.sub(r"(?s)```.*?```|<[^>]*>", " ", markdown)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return len(re.findall(r"\w+(?:['’-]\w+)*", text))


def without_code(markdown: str) -> str:
    """Markdown with code, formulas, headings, tags and addresses blanked: the sentences that remain."""
    text = re.sub(r"(?s)```.*?```|\$\$.*?\$\$|`[^`\n]*`|<[^>]*>", " ", markdown)
    text = re.sub(r"(?<!\\)\$[^$\n]+\$", " ", text)
    text = re.sub(r"\]\([^)]*\)|https?://\S+", "]", text)
    return re.sub(r"(?m)^\s*#{1,6} .*$", " ", text)


def results_in(markdown: str) -> list[str]:
    """Tokens in the sentences that look computed, as written."""
    found = []
    for match in RESULT.finditer(without_code(markdown)):
        number = match["number"]
        long = "," in number or "." in number or (len(number) > 3 and not YEAR.fullmatch(number))
        if long or match["percent"] or match["money"]:
            found.append(match[0].strip())
    return found


def squeezed(token: str) -> str:
    """A token without spaces, with one spelling of per cent, for comparison with `given`."""
    return re.sub(r"per ?cent$", "%", re.sub(r"\s", " ", token).strip()).replace(" ", "")


def is_printed(token: str, outputs: str) -> bool:
    """Whether some number in the outputs, rounded as the token is, equals it (or its hundredth, for %)."""
    number = RESULT.search(token)["number"].replace(",", "")
    value, decimals = float(number), len(number.partition(".")[2])
    half = 0.5 * 10**-decimals * (1 + 1e-9)
    scales = (1, 100) if RESULT.search(token)["percent"] else (1,)
    printed = [float(one.replace(",", "")) for one in re.findall(NUMBER, outputs)]
    return any(abs(one * scale - value) <= half for one in printed for scale in scales)


def typed_numbers(notebook: Notebook) -> list[str]:
    """A number in a sentence is printed above it in its section, or listed in the cell's `given`.

    `given` (a list of strings in the cell's metadata) is for constants known before any computation:
    a confidence level, a published figure, an assumed margin.
    """
    faults, outputs = [], ""
    for i, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code":
            outputs += "\n" + text_outputs(cell)
        if cell["cell_type"] != "markdown":
            continue
        if re.match(r"\s*#{1,2} ", source(cell)):
            outputs = ""
        tokens = results_in(source(cell))
        given = {squeezed(str(one)) for one in cell["metadata"].get("given", [])}
        for token in tokens:
            if squeezed(token) not in given and not is_printed(token, outputs):
                faults.append(f"cell {i}: {token!r} is neither printed above in this section nor `given`")
        unused = given - {squeezed(token) for token in tokens}
        faults += [f"cell {i}: `given` lists {one!r}, which the text does not hold" for one in sorted(unused)]
    return faults


def furniture(notebook: Notebook, name: str) -> list[str]:
    """Header and footer of a chapter; the start page decides nothing and has no decision memo."""
    header = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            break
        header.append(source(cell))
    text = "\n".join(header)
    faults = [f"the header lacks {what}" for what, rule in HEADER.items() if not re.search(rule, text)]
    markdown = "\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    headings = [h.lower() for h in re.findall(r"(?m)^#{2,3} +(.+)$", re.sub(r"(?s)```.*?```", "", markdown))]
    wanted = [part for part in FOOTER if not (part == "decision memo" and name == START)]
    last = headings[-len(wanted) :]
    if len(last) < len(wanted) or not all(
        part in heading for part, heading in zip(wanted, last, strict=True)
    ):
        faults.append(f"the last headings must be: {', '.join(wanted)}; found: {', '.join(last) or 'none'}")
    exercises = re.search(r"(?ims)^#{2,3} +[^\n]*exercises.*?(?=^#{2,3} |\Z)", markdown)
    if exercises and ".ipynb)" not in exercises[0]:
        faults.append("the footer's exercises link to no notebook")
    return faults


def links(notebook: Notebook, folder: Path) -> list[str]:
    """Each relative link leads to a file of the repository."""
    faults = []
    for i, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] != "markdown":
            continue
        text = re.sub(r"(?s)```.*?```|`[^`\n]*`", " ", source(cell))
        for target in re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", text):
            if re.match(r"[a-z]+:|#", target):
                continue
            if not (folder / target.partition("#")[0]).exists():
                faults.append(f"cell {i}: link to {target}, which does not exist")
    return faults
