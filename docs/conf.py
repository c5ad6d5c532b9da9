"""The documentation as a site: `make docs`. Pages are Markdown, so that they can be read in the repository too."""

project = "Whole in Parts"
html_title = project
extensions = ["myst_parser"]
exclude_patterns = ["evidence/*/results"]
html_theme = "furo"
# Links to the headings of a page, and to files of the repository.
myst_heading_anchors = 3
