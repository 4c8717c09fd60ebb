"""A report of a period as one page: `conflictwire report`. See docs/report.md.

`reading` takes what was asked from the store and counts it (`tallies`), `page` says it in words (`evidence`), lines
(`drawing`, `atlas`) and HTML, `usual` is what the weeks before lead one to expect, and `pdf` prints the page.
"""
