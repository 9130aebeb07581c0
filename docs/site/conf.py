"""The documentation as a site: ``make docs`` builds it from the Markdown files as they are.

Sources are read from the root of the repository, so that a link between two files works on the site as it does in the
files. A link that leads nowhere is a warning, and `make docs` makes warnings errors.
"""

project = "unitscope"
author = "unitscope contributors"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

include_patterns = ["*.md", "docs/*.md"]
exclude_patterns = [".*", "build", "dist", "demo-data", "node_modules"]
root_doc = "docs/index"
nitpicky = False  # docstrings name types of other packages, whose sites are not asked here

myst_heading_anchors = 3
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = "unitscope"
templates_path = ["."]
html_additional_pages = {"index": "home.html"}  # the site's own address leads to root_doc
html_copy_source = False
html_show_sphinx = False
