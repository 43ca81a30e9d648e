#!/usr/bin/env python3
"""Checks every link of a built site: each local target exists, each fragment names one element, nothing is loaded from elsewhere.

    ci/links.py DIR        exit 1 and a line for each fault; a link that a reader may follow to another host is allowed
"""
import pathlib
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("object", "data")}


class Page(HTMLParser):
    """The names that a page defines and the addresses that it mentions."""

    def __init__(self):
        super().__init__()
        self.names, self.links, self.twice = set(), [], []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" and value in self.names:
                self.twice.append((self.getpos()[0], value))
            if name in ("id", "name") and value:
                self.names.add(value)
            if name in ("href", "src", "data") and value:
                self.links.append((self.getpos()[0], (tag, name) in LOADS, value))


def read(path):
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def main(root):
    pages = {path.resolve(): read(path) for path in sorted(root.rglob("*.html"))}
    faults = []
    for path, page in pages.items():
        if path.name in ("toc.html", "404.html"):
            continue  # fragments for other pages, with addresses of their own
        for line, name in page.twice:
            faults.append(f"{path.relative_to(root.resolve())}:{line}: #{name}: this place was there before")
        for line, loads, address in page.links:
            parts = urlsplit(address)
            where = f"{path.relative_to(root.resolve())}:{line}: {address}"
            if parts.scheme or parts.netloc:
                if loads and parts.scheme != "data":
                    faults.append(f"{where}: is loaded from another host")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            if not target.is_file():
                faults.append(f"{where}: there is no such file")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                faults.append(f"{where}: there is no such place in that page")
    for fault in faults:
        print(fault)
    count = sum(len(page.links) for page in pages.values())
    print(f"{len(pages)} pages, {count} links, {len(faults)} faults")
    return 1 if faults or not pages else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: ci/links.py DIR")
    sys.exit(main(pathlib.Path(sys.argv[1])))
