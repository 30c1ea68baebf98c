"""Build the documentation site: `python -m tests.site [--version NAME] [--output FOLDER]`.

Pages are copied together, once for each language, so that the site also has the pages at the
root of the repository, and so that a Chinese page takes the place of its English one. Links
follow: to another page of the site, or else to the file on GitHub. Zensical then builds both
copies, and refuses links that lead nowhere.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/mirrorhook/mirrorhook"
# Pages that are not in docs/: path in the repository, and on the site.
OTHER_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "charts/mirrorhook/README.md": "reference/values.md",
}
LINK = re.compile(r"(\]\(|^\[[^\]]+\]: )([^)\s#]+)(#[^)\s]*)?", re.MULTILINE)
# A heading of a Chinese page has the anchor of the English one: <!-- #anchor -->
MARK = re.compile(r"^<!-- (#\S+) -->\n(#+ .*)$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
OTHER_LANGUAGE = re.compile(r'href="[^"]*"( hreflang=)"(\w+)"')
CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
EDIT = re.compile(r"/edit/main/([^\"]+)")
LANGUAGES = {"en": "English", "zh": "中文"}


def map_pages(language: str) -> dict[str, str]:
    """Return the path on the site of each page and picture, by its path in the repository."""
    docs = ROOT / "docs"
    paths = [path.relative_to(docs).as_posix() for path in docs.rglob("*") if path.is_file()]
    pages = {f"docs/{path}": path for path in paths if not path.startswith("zh/")}
    pages |= {path: page for path, page in OTHER_PAGES.items() if (ROOT / path).exists()}
    if language != "en":
        translated = {f"docs/{path}": path[3:] for path in paths if path.startswith("zh/")}
        pages = {k: v for k, v in pages.items() if v not in translated.values()} | translated
    return pages


def move_links(text: str, path: str, pages: dict[str, str]) -> str:
    """Return a page with its relative links as they are on the site.

    Args:
        text: The page.
        path: Its path in the repository.
        pages: The path on the site of each page, by its path in the repository.

    Raises:
        SystemExit: A link leads to a file that does not exist.
    """
    code = [match.span() for match in FENCE.finditer(text)]

    def move(match: re.Match[str]) -> str:
        target, anchor = match[2], match[3] or ""
        if "://" in target or any(start < match.start() < end for start, end in code):
            return match[0]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        english = wanted.replace("docs/zh/", "docs/")
        chinese = wanted.replace("docs/", "docs/zh/", 1)
        here = posixpath.dirname(pages[path]) or "."
        for each in (chinese, wanted, english):
            if each not in pages:
                continue
            if anchor and each == chinese and f"<!-- {anchor} -->" not in (ROOT / each).read_text():
                up = "." if pages[path].endswith("index.md") else ".."
                page = pages[each].removesuffix(".md")
                return f"{match[1]}{up}/{posixpath.relpath('..', here)}/{page}/{anchor}"
            return match[1] + posixpath.relpath(pages[each], here) + anchor
        if not (ROOT / wanted).exists():
            raise SystemExit(f"{path}: the link {target} leads nowhere")
        return f"{match[1]}{REPOSITORY}/blob/main/{wanted}{anchor}"

    return MARK.sub(r"\2 {\1}", LINK.sub(move, text))


def build(language: str, folder: Path, site: Path) -> None:
    """Build the site in one language.

    Args:
        language: ``en`` or ``zh``.
        folder: Where the pages are copied together.
        site: Where the site goes.
    """
    pages = map_pages(language)
    for path, page in pages.items():
        target = folder / "docs" / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".md":
            target.write_text(move_links((ROOT / path).read_text(), path, pages))
        else:
            shutil.copy(ROOT / path, target)
    config = (ROOT / "mkdocs.yml").read_text()
    translations = yaml.safe_load((ROOT / "docs/zh/titles.yml").read_text())
    if language != "en":
        for english, title in translations.items():
            config = re.sub(
                rf"^( *- ){re.escape(english)}:", rf"\1{title}:", config, flags=re.MULTILINE
            )
        config = config.replace("theme:\n", f"theme:\n  language: {language}\n")
    links = {each: "." if each == language else f"{each}/" for each in LANGUAGES}
    if language != "en":
        links["en"] = "../"
    alternate = [{"name": LANGUAGES[each], "lang": each, "link": links[each]} for each in LANGUAGES]
    config = config.replace("extra:\n", f"extra:\n  alternate: {json.dumps(alternate)}\n")
    (folder / "mkdocs.yml").write_text(config)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        words = re.sub("\x1b[^m]*m", "", done.stdout + done.stderr.partition("Traceback")[0])
        raise SystemExit(f"{words}\nThe pages are in {folder}/docs.")
    shutil.copytree(folder / "site", site, dirs_exist_ok=True)
    sources = {page: path for path, page in pages.items()}
    for built in site.rglob("*.html"):
        # Without this attribute, no script asks GitHub for its stars.
        text = built.read_text().replace(' data-md-component="source"', "")
        # Another language is the same page, not its start page.
        text = OTHER_LANGUAGE.sub(partial(_lead_to_same_page, built, site, language), text)
        # Code in a table has a bar as \| for GitHub; Python-Markdown shows the backslash, too.
        text = CELL.sub(lambda match: match[0].replace("\\|", "|"), text)
        built.write_text(
            EDIT.sub(
                lambda match: match[0].replace(match[1], sources.get(match[1], match[1])), text
            )
        )


def _lead_to_same_page(built: Path, site: Path, here: str, match: re.Match[str]) -> str:
    """Return a link to a language, which leads to the same page there."""
    page = built.relative_to(site).parent.as_posix()
    up = "../" * (0 if page == "." else page.count("/") + 1)
    there = {"en": "" if here == "en" else "../", "zh": "zh/" if here == "en" else ""}[match[2]]
    return f'href="{up}{there}{"" if page == "." else page + "/"}"{match[1]}"{match[2]}"'


def list_versions(folder: Path) -> None:
    """Write which versions a site has, newest first, and lead visitors to the newest.

    The pages of a language look for the list in the folder above them, and for other versions
    there, too.
    """
    names = [path.parent.name for path in folder.glob("*/index.html")]
    names.sort(key=lambda name: [int(n) for n in re.findall(r"\d+", name)], reverse=True)
    newest = names[0]
    for place in [folder, *(folder / name for name in names)]:
        versions = [
            {"version": name, "title": name, "aliases": ["latest"] if name == newest else []}
            if place == folder
            else {
                "version": f"../{name}/zh",
                "title": name,
                "aliases": ["zh"] if name == place.name else [],
            }
            for name in names
        ]
        (place / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
    refresh = f'<meta http-equiv="refresh" content="0; url={newest}/">'
    page = f'<!doctype html><title>mirrorhook</title>{refresh}<a href="{newest}/">{newest}</a>\n'
    (folder / "index.html").write_text(page)
    (folder / ".nojekyll").touch()


def main() -> None:
    """Build the site in all languages."""
    parser = argparse.ArgumentParser(prog="python -m tests.site", description=__doc__)
    parser.add_argument("--version", default="dev", help="the folder of the site that is built")
    parser.add_argument("--output", type=Path, default=ROOT / "build/site")
    arguments = parser.parse_args()
    work = ROOT / "build/pages"
    shutil.rmtree(work, ignore_errors=True)
    site = arguments.output / arguments.version
    shutil.rmtree(site, ignore_errors=True)
    for language in LANGUAGES:
        build(language, work / language, site if language == "en" else site / language)
    list_versions(arguments.output)
    print(f"{site}: {len(list(site.rglob('index.html')))} pages")


if __name__ == "__main__":
    main()
