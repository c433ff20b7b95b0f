"""The sites of these tests, as the catalogue declares them."""

from __future__ import annotations

ORIGIN = "https://shop.acme.example"

SITES = f"""
[sites.shop]
origins = ["{ORIGIN}", "https://www.shop.acme.example"]
brand = "acme"

[sites.shop.categories.essential.cookies]
basket = {{ purpose = "session" }}

[sites.shop.categories.functional.cookies]
language = {{ purpose = "preferences", days = 365 }}

[sites.shop.categories.advertising.cookies]
"_ad*" = {{ purpose = "advertising", provider = "Example Ads Inc.", days = 90 }}

[sites.blog]
origins = ["http://localhost:8000"]
brand = "acme"
path = "/privacy/cookies"
"""
