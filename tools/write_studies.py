"""Write the studies of `examples/` into the documentation: their tables between markers, and their pictures.

A page says `<!-- study: layouts_and_projectors -->`, and behind it comes the table of
`benchmarks/results/layouts_and_projectors.json` and the picture, up to `<!-- end -->`.

    python tools/write_studies.py [NAME FOLDER]    # takes over the comparison.json of a folder first
"""

import re
import shutil
import sys
from pathlib import Path

from PIL import Image

from vlkit.comparison import Comparison
from vlkit.comparison.picture import draw_comparison

ROOT = Path(__file__).parents[1]
RESULTS, ASSETS = ROOT / "benchmarks" / "results", ROOT / "docs" / "assets"
PAGES = (ROOT / "docs" / "guides" / "compare-trained.md",)
MARKED = re.compile(r"(<!-- study: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = "\n*Not run yet.*\n\n"
MINUTE = 60


def written(page: str) -> str:
    """Text of a page with the tables of the studies that were run."""

    def section(found: re.Match[str]) -> str:
        file = RESULTS / f"{found[2]}.json"
        if not file.is_file():
            return found[1] + NOTHING + found[3]
        comparison = Comparison.from_file(file)
        seconds = sum(run.seconds for run in comparison.runs)
        time = f"{len(comparison.runs)} runs, {seconds / MINUTE:.0f} minutes of training on a CPU."
        picture = f"![Means, intervals and curves](../assets/{picture_name(found[2])})" + "{ .figure }"
        return f"{found[1]}\n{time}\n\n```text\n{comparison.table()}\n```\n\n{picture}\n\n{found[3]}"

    return MARKED.sub(section, page)


def picture_name(study: str) -> str:
    """File of a study's picture."""
    return f"study-{study.replace('_', '-')}.png"


def draw(study: str) -> None:
    """Picture of a study, at half its size."""
    whole = draw_comparison(Comparison.from_file(RESULTS / f"{study}.json"), title=study.replace("_", " ").capitalize())
    half = whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.LANCZOS)
    half.quantize(128).save(ASSETS / picture_name(study), optimize=True)


def main() -> None:
    """Take over a study, if one is named, and write all pages and pictures."""
    if sys.argv[1:]:
        name, folder = sys.argv[1:]
        shutil.copyfile(Path(folder) / "comparison.json", RESULTS / f"{name}.json")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(written(text), encoding="utf-8")
        for _, study, _ in MARKED.findall(text):
            if (RESULTS / f"{study}.json").is_file():
                draw(study)


if __name__ == "__main__":
    main()
