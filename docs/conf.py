"""The documentation as a site: `make docs`; warnings are errors."""

from nas_service import __version__

project = "NAS service"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"page_width": "76rem", "sidebar_width": "15rem", "fixed_sidebar": True}
html_title = f"NAS service {__version__}"
myst_heading_anchors = 3
myst_links_external_new_tab = True
# what a code block is in is not said everywhere, and is no shell session everywhere
highlight_language = "none"
