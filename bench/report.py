"""The table, the JSON file and the plot of a run."""
import html
import json
import os
import platform


def text_of(value, unit):
    if unit == "x":
        return f"{value:.2f} x"
    if unit == "/s":
        return f"{value:,.0f}/s"
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def budget_text(row):
    if row.budget is None:
        return "-"
    return (">= " if row.is_least else "<= ") + text_of(row.budget, row.unit)


def spread_text(row):
    return f"{text_of(min(row.values), row.unit).split(' ')[0]} .. {text_of(max(row.values), row.unit)}"


def table(rows):
    cells = [["what", "median", "least .. greatest", "budget", "", "against"]]
    for row in rows:
        reached = {True: "reached", False: "MISSED", None: ""}[row.is_reached]
        cells.append([row.what, text_of(row.median, row.unit), spread_text(row), budget_text(row), reached, row.against])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = os.getloadavg()[0]
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "loadAtStart": round(load, 2)}


def plot(rows):
    """Each row as a bar of its median relative to the budget (1 = budget), with the spread as a line. Longer is better."""
    shown = [row for row in rows if row.budget]
    height, left, right, width = 26, 430, 150, 1000
    span = width - left - right
    most = 2.0

    def share(row, value):
        ratio = value / row.budget if row.is_least else row.budget / value if value else most
        return min(ratio, most) / most * span

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height * (len(shown) + 2)}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{left}" y="16">relative to the budget (the line): longer is better, cut at {most:.0f} times</text>']
    for index, row in enumerate(shown):
        y = height * (index + 1)
        colour = "#2e7d32" if row.is_reached else "#c62828"
        low, high = sorted((share(row, min(row.values)), share(row, max(row.values))))
        parts += [f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{html.escape(row.what)}</text>',
                  f'<rect x="{left}" y="{y + 3}" width="{share(row, row.median):.1f}" height="{height - 10}" fill="{colour}"/>',
                  f'<line x1="{left + low:.1f}" y1="{y + 11}" x2="{left + high:.1f}" y2="{y + 11}" stroke="black" stroke-width="2"/>',
                  f'<text x="{width - right + 8}" y="{y + 15}">{html.escape(text_of(row.median, row.unit))} ({html.escape(budget_text(row))})</text>']
    budget = left + span / most
    parts.append(f'<line x1="{budget}" y1="{height}" x2="{budget}" y2="{height * (len(shown) + 1)}" stroke="#555" stroke-dasharray="4 3"/></svg>')
    return "\n".join(parts) + "\n"


def write(directory, rows, about):
    os.makedirs(directory, exist_ok=True)
    result = {"about": about, "rows": [row.as_json() for row in rows]}
    paths = {}
    for name, text in (("result.json", json.dumps(result, indent=1) + "\n"), ("result.svg", plot(rows)), ("result.md", table(rows) + "\n")):
        paths[name] = os.path.join(directory, name)
        with open(paths[name], "w") as file:
            file.write(text)
    return paths
