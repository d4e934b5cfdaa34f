"""What pages are made with: the templates, and the headers that keep everything but the page itself out."""

import jinja2

PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("adapters.web", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing is loaded from anywhere, and no script runs."""
