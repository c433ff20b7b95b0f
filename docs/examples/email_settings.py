"""The email settings of signed-in customers."""

import os
from datetime import UTC, datetime

import httpx
from flask import Flask, abort, redirect, render_template_string, request, session

WORDING = "Email settings, version 1"  # change it with the texts of the page: it is evidence
LANGUAGE = "en"

app = Flask(__name__)
app.config.update(SECRET_KEY=os.environ["SECRET_KEY"], SESSION_COOKIE_SAMESITE="Lax")
service = httpx.Client(
    base_url=os.environ["PREFERENCES_URL"],
    headers={"Authorization": f"Bearer {os.environ['PREFERENCES_KEY']}"},
    timeout=5,
)
kept = {"etag": "", "catalogue": {}}


def catalogue():
    """The catalogue; it crosses the network only when it has changed."""
    response = service.get("/v1/catalogue", headers={"If-None-Match": kept["etag"]})
    if response.status_code != 304:
        response.raise_for_status()
        kept.update(etag=response.headers["ETag"], catalogue=response.json())
    return kept["catalogue"]


def signed_in_address():
    """The address that your log-in has verified; never one that the browser sent."""
    return session.get("email") or abort(401)


@app.get("/email-settings")
def show():
    query = {"address": signed_in_address(), "language": LANGUAGE}
    response = service.post("/v1/preferences/query", json=query)
    response.raise_for_status()
    return render_template_string(
        PAGE, preferences=response.json(), catalogue=catalogue(), language=LANGUAGE
    )


@app.post("/email-settings")
def save():
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        abort(403)  # or the CSRF protection of your framework
    shown, was_on, is_on = (set(request.form.getlist(name)) for name in ("shown", "was_on", "on"))
    changed = {topic for topic in shown if (topic in was_on) != (topic in is_on)}  # and no others
    update = {
        "address": signed_in_address(),
        "rendered_at": request.form["read_at"],
        "evidence": {
            "source": "account page",
            "wording": WORDING,
            "language": LANGUAGE,
            "occurred_at": datetime.now(UTC).isoformat(),
        },
        "topics": {topic: {"state": "on" if topic in is_on else "off"} for topic in changed},
    }
    if request.form.get("all") == "off":
        update["topics"] = {}
        update["all_marketing"] = {"state": "off"}
    if update["topics"] or "all_marketing" in update:
        service.put("/v1/preferences", json=update).raise_for_status()
    return redirect("/email-settings", 303)


PAGE = """<!doctype html>
<html lang="{{ language }}">
<title>Email settings</title>
{%- set looks = catalogue.brands[0].looks %}
{%- if looks.light %}
<style>
  button { border-radius: {{ looks.radius or 4 }}px;
    background: {{ looks.light.accent }}; color: {{ looks.light.on_accent }} }
</style>
{%- endif %}
<h1>Email settings</h1>
{%- if preferences.closed %}<p>Your account is closed: we send you no marketing.</p>{% endif %}
{%- if preferences.restricted %}<p>You have limited the use of your data.</p>{% endif %}
{%- if preferences.all_marketing.state == "off" %}<p>All marketing is off.</p>{% endif %}
{%- if preferences.one_way_systems %}
<p>{{ preferences.one_way_systems | join(", ") }} can turn messages off but not on again.</p>
{%- endif %}
<form method="post">
  <input type="hidden" name="read_at" value="{{ preferences.read_at }}">
  {%- for topic in catalogue.topics if topic.key in preferences.topics %}
  {%- set setting = preferences.topics[topic.key] %}
  <p><label>
    <input type="hidden" name="shown" value="{{ topic.key }}">
    {%- if setting.state != "off" %}
    <input type="hidden" name="was_on" value="{{ topic.key }}">
    {%- endif %}
    <input type="checkbox" name="on" value="{{ topic.key }}"
      {%- if setting.state != "off" %} checked
      {%- elif preferences.opt_in == "unavailable" %} disabled{% endif %}>
    {{ topic.title[language] }}</label><br>{{ topic.description[language] }}
    {%- if setting.state == "paused" %} Paused until {{ setting.until[:10] }}.{% endif %}
    {%- if setting.since %} Off since {{ setting.since[:10] }}.{% endif %}</p>
  {%- endfor %}
  <button>Save</button>
  <button name="all" value="off">Turn off all marketing</button>
</form>
<h2>Always on</h2>
<ul>
  {%- for type in catalogue.message_types if type.key in preferences.always_on %}
  <li>{{ type.title[language] or type.key }} ({{ type.ground }})</li>
  {%- endfor %}
</ul>
"""
