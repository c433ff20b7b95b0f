# ruff: noqa: F401
"""The tables, as SQLAlchemy models: the only description of the schema (migrations follow it).

Hot paths execute SQL of their own against these names and create no ORM objects. There are no
foreign keys where a row is written per opt-out: rows are never deleted there, and each check
costs a look-up and a lock.
"""

from __future__ import annotations

from preference_center.contacts import models as contacts_models
from preference_center.cookies import store as cookies_store
from preference_center.destinations import models as destinations_models
from preference_center.inbound import store as inbound_store
from preference_center.ledger import models as ledger_models
from preference_center.lists import store as lists_store
from preference_center.monitoring import store as monitoring_store
from preference_center.reports import store as reports_store
from preference_center.rights import models as rights
from preference_center.web import models as web_models
