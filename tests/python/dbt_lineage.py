"""Draws where each mart comes from, out of dbt's manifest: `dbt_lineage.py MANIFEST OUT.svg`. A test compares the picture."""

import html
import json
import sys

WIDTH, ROW, BOX, GAP = 250, 22, 190, 40


def layer(node):
    """How far from the pipeline a model is: its table, a staging view, a mart, a mart of marts."""
    if node["package_name"] == "dbt_deltamart":
        return 0
    return 1 if node["name"].startswith("stg_") else 2


def drawn(manifest):
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    exposures = manifest["exposures"]
    marts = {key for key in nodes if layer(nodes[key]) == 2}
    needed, left = set(marts), list(marts)
    while left:
        for parent in nodes[left.pop()]["depends_on"]["nodes"]:
            if parent in nodes and parent not in needed:
                needed.add(parent)
                left.append(parent)
    columns = [sorted((key for key in needed if layer(nodes[key]) == at), key=lambda key: (nodes[key]["fqn"][-2], nodes[key]["name"])) for at in range(3)]
    columns.append(sorted(exposures))
    names = {**{key: nodes[key]["name"] for key in needed}, **{key: exposures[key]["name"] for key in exposures}}
    height = max(map(len, columns)) * ROW + GAP
    place = {}
    for at, column in enumerate(columns):
        top = (height - len(column) * ROW) // 2
        place |= {key: (at * WIDTH + 10, top + nr * ROW + 10) for nr, key in enumerate(column)}
    parents = {key: nodes[key]["depends_on"]["nodes"] for key in needed} | {key: exposures[key]["depends_on"]["nodes"] for key in exposures}
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {3 * WIDTH + BOX + 20} {height}" font-family="sans-serif" font-size="11" role="img">',
             "<title>Tables of the pipeline, staging views, marts, and who shows them</title>",
             f'<rect width="{3 * WIDTH + BOX + 20}" height="{height}" fill="#fff"/>']
    for key in sorted(place, key=lambda key: place[key]):
        x, y = place[key]
        for parent in sorted(set(parents[key]) & set(place), key=lambda key: place[key]):
            from_x, from_y = place[parent]
            start, end, middle = from_x + BOX, x, (from_x + BOX + x) // 2
            lines.append(f'<path d="M{start} {from_y + 8}C{middle} {from_y + 8} {middle} {y + 8} {end} {y + 8}" fill="none" stroke="#9ab"/>')
    colours = ["#dbe9f6", "#e7f3e4", "#fdeccf", "#f3dff0"]
    for key in sorted(place, key=lambda key: place[key]):
        x, y = place[key]
        lines.append(f'<rect x="{x}" y="{y}" width="{BOX}" height="17" rx="3" fill="{colours[(x - 10) // WIDTH]}"/>'
                     f'<text x="{x + 6}" y="{y + 12}">{html.escape(names[key])}</text>')
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given, open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write(drawn(json.load(given)))
