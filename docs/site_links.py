"""A hook of MkDocs: links of the pages lead somewhere in the site as they do in the repository.

Pages link to files beside `docs/`, which GitHub shows and a site has not. Some of them are pages,
and become pages of the site. The others are named, or linked to where `repo_url` of `mkdocs.yml`
has them.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# Pages of the repository that are not in docs/, and what they are called in the site.
ELSEWHERE = {
    "benchmarks/results/README.md": "results_measured.md",
    "benchmarks/results/speed.md": "results_speed.md",
    "tests/golden/README.md": "golden.md",
    "RESULTS.md": "reproduced.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
}
_SOURCES = {page: source for source, page in ELSEWHERE.items()}
_CONTENTS = re.compile(r"^(?:- \[[^\]]*\]\(#[^)]*\)\n)+", re.MULTILINE)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere."""
    for source, page in ELSEWHERE.items():
        path = _root(config) / source
        files.append(File.generated(config, page, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Change the links of a page, and leave out its contents, which the site shows beside it."""
    source = _SOURCES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return with_links(_CONTENTS.sub("", markdown, 1), source, config.repo_url, _root(config))


def with_links(markdown: str, source: str, repo_url: str | None, root: Path) -> str:
    """Give a page the links that it has in the site.

    Args:
        markdown: The page.
        source: Where it is in the repository.
        repo_url: Where people read the repository; None if it is not known.
        root: Where it is on this machine.

    Returns:
        The page with links to pages and pictures of the site as such; those to other files of
        the repository lead to `repo_url`, or become text that names the file. Links to what is not
        there stay, so that MkDocs tells of them.
    """

    def in_site(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["path"]))
        anchor = link["anchor"] or ""
        page = ELSEWHERE.get(target, target.removeprefix("docs/"))
        if page != target:
            return f"{link['image']}[{link['text']}]({page}{anchor})"
        if not (root / target).exists():
            return link[0]
        if repo_url:
            return f"[{link['text']}]({repo_url.rstrip('/')}/blob/main/{target}{anchor})"
        if posixpath.basename(target) == link["text"]:
            return f"`{target}`"
        return f"{link['text']} (`{target}`)"

    return _LINK.sub(in_site, markdown)


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent
