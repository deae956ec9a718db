"""The last stage: the results of all files -> a report.

Knows: totals, tables. Must not know: how a file is measured.

A message may come twice; a file counts once. So results are kept by the name of their file, and the census is complete
when there are as many names as the scan has found.
"""

from collections import Counter, defaultdict

from noria.actors import message

LONGEST = 10
MOST_IMPORTED = 10


class Census:
    """What is known so far: how many files the scan has found, and what became of each."""

    def __init__(self):
        self.root = ""
        self.expected = None
        self.results = {}

    def add(self, body):
        if "expected" in body:
            self.root, self.expected = body["root"], body["expected"]
        else:
            self.results[body["file"]] = body

    @property
    def is_complete(self):
        return self.expected is not None and len(self.results) >= self.expected

    @property
    def measured(self):
        return [result for result in self.results.values() if "error" not in result]

    @property
    def dead(self):
        return {result["file"]: result["error"] for result in self.results.values() if "error" in result}


# Module-level state outlives a worker that is restarted, and ends with the process.
under_way = defaultdict(Census)
finished = set()


def handler(body):
    number = message.header("correlation_id")
    if number in finished:
        return
    census = under_way[number]
    census.add(body)
    if census.is_complete:
        # First what can fail: if it does, the message comes back, and nothing is forgotten yet.
        print(report_of(census), flush=True)
        finished.add(number)
        del under_way[number]


# ---- how it looks ------------------------------------------------------------------------------------


def report_of(census):
    parts = [f"Census of {census.root}", totals_of(census)]
    if census.measured:
        parts += [longest_functions(census.measured), most_imported(census.measured)]
    parts.append(dead_letters(census.dead))
    return "\n\n".join(parts) + "\n"


def totals_of(census):
    figures = ("lines", "functions", "classes")
    sums = [(figure, sum(file[figure] for file in census.measured)) for figure in figures]
    return table([("files", len(census.results)), *sums, ("do not parse", len(census.dead))], "<>")


def longest_functions(files):
    functions = [(*function, file["file"]) for file in files for function in file["longest"]]
    # The longest first; among equals, in the order of their files.
    functions.sort(key=lambda function: (-function[0], function[3], function[2]))
    rows = [(lines, name, f"{file}:{first}") for lines, name, first, file in functions[:LONGEST]]
    return "The longest functions\n\n" + table([("lines", "function", "where"), *rows], "><<")


def most_imported(files):
    importers = Counter(name for file in files for name in file["imports"])
    rows = sorted(importers.items(), key=lambda row: (-row[1], row[0]))[:MOST_IMPORTED]
    return "The most imported modules\n\n" + table(
        [("files", "module"), *((count, name) for name, count in rows)], "><"
    )


def dead_letters(dead):
    if not dead:
        return "Every file parses."
    return "Files that do not parse\n\n" + table([("file", "why"), *sorted(dead.items())], "<<")


def table(rows, sides):
    """Columns as wide as their widest cell, each to its side; numbers with a comma at every thousand."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True))
        for row in cells
    )
    return "\n".join(f"  {line}".rstrip() for line in lines)
