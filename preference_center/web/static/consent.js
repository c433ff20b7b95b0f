/* Cookie choices: docs/cookies.md. The site's own endpoint sets the cookie. */
(() => {
const EVENT = "preference-center:consent";
const script = document.currentScript, root = document.documentElement;
if (window.preferenceCenter?.consent || !(script instanceof HTMLScriptElement)) return; // twice, or clobbered
let config, choice = null, isKept = false, started = Promise.resolve(), sending, host, panel, opener, timer;

const CSS = `
:host { all: initial !important; position: fixed !important; z-index: 2147483647 !important; color-scheme: inherit !important; --soft: color-mix(in srgb, CanvasText 75%, Canvas); --line: color-mix(in srgb, CanvasText 18%, Canvas) }
* { box-sizing: border-box }
[hidden] { display: none }
.card { position: fixed; inset: auto 0 1em; width: min(46em, 100% - 2em); max-height: calc(100% - 2em); margin: auto; overflow: auto;
  padding: 1em clamp(1em, 3vw, 1.5em) 1.25em; border: 1px solid var(--line); border-radius: var(--radius); background: Canvas; color: CanvasText; box-shadow: 0 .5em 2.5em #0005;
  font-family: var(--font); font-size: max(1rem, 16px); line-height: 1.5; overflow-wrap: anywhere }
header { display: flex; flex-wrap: wrap-reverse; justify-content: space-between; align-items: center; column-gap: 1em }
h2 { margin: .25em 0; font-size: 1.3em; line-height: 1.3; outline: 0 }
p { margin: .25em 0 .75em }
a { color: inherit }
small, summary, ul, .close { font-size: .9375em }
small { color: var(--soft) }
button { min-height: 44px; padding: .5em .75em; border: 2px solid var(--accent); border-radius: min(var(--radius), 1.5em);
  background: var(--accent); color: var(--accent_text); font: inherit; font-weight: 600; cursor: pointer }
button:hover { text-decoration: underline }
.close { margin-inline: auto -.75em; border-color: transparent; background: none; color: inherit; font-weight: 400; text-decoration: underline }
.close::after { content: " ✕" / "" }
.note { padding: .5em 1em; border-inline-start: .25em solid var(--accent) }
.buttons { display: grid; gap: .625em; margin-top: 1em }
:focus-visible { outline: 3px solid CanvasText; outline-offset: 2px }
.row { border-top: 1px solid var(--line); padding: .5em 0 }
label { display: grid; grid-template-columns: 1fr auto; gap: 1em; align-items: center; min-height: 44px }
b { display: block }
input { display: grid; appearance: none; width: 3em; height: 1.75em; margin: 0; padding: .2em; border: 2px solid var(--soft); border-radius: 1em; font: inherit }
input::before { content: ""; width: 0; border: .55em solid var(--soft); border-radius: 1em; place-self: center start }
:checked { border-color: var(--accent); background: var(--accent) }
:checked::before { place-self: center end; border-color: var(--accent_text) }
:disabled { opacity: .5 }
summary { min-height: 44px; padding-block: .625em; cursor: pointer }
ul { margin: 0; padding-inline-start: 1.25em }
.said { width: fit-content; padding: .75em 1.5em; pointer-events: none }
.said:empty { opacity: 0 }
@media (min-width: 36em) { .buttons { grid-template-columns: repeat(3, 1fr) } }
@media (max-height: 30em) { .card { max-height: 60% } }
@media (prefers-reduced-motion: no-preference) { .card { animation: in .25s } @keyframes in { from { opacity: 0; transform: translateY(1em) } } }
@media print { .card { display: none } }`;

const make = (name, options, ...children) => {
  const element = Object.assign(document.createElement(name), options);
  element.append(...children);
  return element;
};
const optional = () => config.categories.filter(({ required }) => !required);
/* Global Privacy Control keeps advertising off. */
const refused = (key) => key === "advertising" && navigator.globalPrivacyControl === true;
const pick = (wanted) => Object.fromEntries(optional().map(({ key }) => [key, !refused(key) && wanted(key)]));
const isOn = (key) => choice?.choices[key] === true;

/* What the cookie says. While a choice has no answer, also what to send: its method, what it allows, and the ids that it ends. */
function cookie() {
  const [found, id, version, year, month, day, on, method, wanted, ends] = /(?:^|; )pc_consent=1\.(\w+)\.(\w+)\.(\d{4})(\d\d)(\d\d)\.([\w+-]+)(?:\.(\w+)\.([\w+-]+)\.([\w+-]+))?/.exec(document.cookie) ?? [];
  if (!found) return null;
  const isValid = version === config.version && Date.UTC(year, month - 1 + config.months, day) > Date.now();
  const choices = (text) => pick((key) => text.split("+").includes(key));
  return { id, version, isValid, method, on: choices(on), wanted: method && choices(wanted), ends: /\w/.test(ends ?? "") ? ends.split("+") : [] };
}

/* The choice that counts; null if it is time to ask. */
function read() {
  const found = cookie();
  return found?.isValid && found.method !== "unsaved" ? { id: found.id, choices: found.on, version: found.version } : null;
}

/* Until the answer, which sets the cookie that lasts. It allows only what was allowed before, too. */
function keep(id, on, method, wanted, ends) {
  const names = (choices) => Object.keys(choices).filter((key) => choices[key]).join("+") || "-";
  const today = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  const value = [1, id, config.version, today, names(on), method, names(wanted), ends.join("+") || "-"].join(".");
  document.cookie = `pc_consent=${value}; Path=/; Max-Age=${config.months * 2628000}; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
}

/* Make the page agree. What has run can't stop, so a withdrawal reloads. */
function apply(next) {
  const lost = optional().some(({ key }) => isOn(key) && !next?.choices[key]);
  choice = next;
  isKept = !!next && document.cookie.includes(next.id);
  if (next) hide();
  for (const { key, cookies } of optional()) if (!isOn(key)) cookies.forEach(remove);
  const unhandled = document.dispatchEvent(new CustomEvent(EVENT, { detail: get(), cancelable: true }));
  if (unhandled && lost) location.reload();
  else run();
}

function update(next) {
  if (JSON.stringify(next) !== JSON.stringify(choice)) apply(next);
}

/* Delete a cookie, or all with a prefix, at each path and domain seen here. */
function remove({ name }) {
  const start = name.replace("*", "");
  const paths = location.pathname.split("/").flatMap((_, i, all) => [all.slice(0, i + 1).join("/"), `${all.slice(0, i).join("/")}/`]);
  const hosts = location.hostname.split(".").map((_, i, all) => `; Domain=${all.slice(i).join(".")}`);
  for (const pair of document.cookie.split("; ")) {
    const key = pair.split("=")[0];
    if (start === name ? key !== name : !key.startsWith(start)) continue;
    for (const path of paths) for (const host of ["", ...hosts]) document.cookie = `${key}=; Max-Age=0; Path=${path}${host}`;
  }
}

/* Start what waits: each script after the one before. */
const run = () => { started = started.then(startAll); };
async function startAll() {
  for (const waiting of document.querySelectorAll("[data-consent]")) {
    const { consent, src, type = "" } = waiting.dataset;
    if (!isOn(consent) || !waiting.isConnected) continue;
    waiting.removeAttribute("data-consent");
    if (waiting.localName !== "script") {
      if (src) waiting.src = src;
      continue;
    }
    const copy = make("script");
    for (const { name, value } of waiting.attributes) copy.setAttribute(name, value);
    Object.assign(copy, { type, nonce: waiting.nonce, async: waiting.hasAttribute("async"), text: waiting.text });
    if (src) copy.src = src;
    waiting.replaceWith(copy);
    if (src && !copy.async) await new Promise((done) => { copy.onload = copy.onerror = done; });
  }
}

/* What a new choice ends: the last that was answered, and each after it, which may be on record. */
function ended() {
  const found = cookie();
  const ids = found ? [...found.ends, found.id] : choice ? [choice.id] : [];
  if (ids.length > 8) ids.splice(1, 1);
  return ids;
}

/* 128 random bits; `randomUUID` needs TLS. */
const newId = () => crypto.getRandomValues(new Uint8Array(16)).reduce((id, byte) => id + byte.toString(16).padStart(2, "0"), "");

/* What allows less counts at once; what allows more, once it is recorded. Each page sends it again until it is answered. */
async function save(method, choices, id = newId(), ends = ended()) {
  const { texts, categories, version, language } = config;
  const before = method === "unsaved" ? null : { id, choices: pick((key) => isOn(key) && choices[key]), version };
  const isMore = Object.keys(choices).some((key) => choices[key] && !isOn(key));
  sending?.abort();
  const mine = sending = new AbortController();
  const limit = setTimeout(() => mine.abort(), 5000);
  keep(id, before?.choices ?? choices, method, choices, ends);
  const sent = fetch(new URL(config.path, location.origin), {
    method: "POST",
    keepalive: true, // if the visitor goes on
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ id, choices, method, version, language, ends }),
    signal: mine.signal,
  }).catch(console.warn);
  if (!isMore) update(before);
  const answer = await sent;
  const saved = answer?.status === 201 && await answer.json().catch(console.warn);
  clearTimeout(limit);
  if (sending !== mine) return; // a newer choice, or page
  if (answer?.status === 409 && !config.isFresh) return start("reload"); // the question has changed
  if (!saved) setTimeout(() => sending === mine && resend(), 60_000);
  if (isMore && !saved) {
    say(texts.not_saved);
    return save("unsaved", pick(() => false));
  }
  if (isMore) update({ id, choices: pick((key) => saved.choices[key]), version });
  if (["gpc", "unsaved"].includes(method)) return;
  const on = categories.filter(({ key, required }) => required || isOn(key)).map(({ title }) => title);
  say(`${texts.saved} ✓ ${on.join(" ✓ ")}`);
}

function resend() {
  const found = cookie();
  if (!found?.method) return;
  if (found.isValid) save(found.method, found.wanted, found.id, found.ends);
  else save("unsaved", pick(() => false)); // the question has changed
}

/* The banner; with its switches if `choosing`. */
function show(choosing) {
  const { texts, categories, language, direction } = config;
  const switches = {};
  const button = (text, onclick) => make("button", { onclick }, text);
  const rows = categories.map(({ key, title, text, required, cookies }) => {
    switches[key] = make("input", { type: "checkbox", role: "switch", checked: isOn(key), disabled: refused(key) });
    const named = cookies.map(({ name, purpose, duration, provider }) =>
      make("li", {}, make("code", {}, name), ` ${purpose} · ${duration} · ${provider}`));
    return make("div", { className: "row" },
      make("label", {},
        make("span", {}, make("b", {}, title), make("small", {}, text)),
        required ? make("small", {}, texts.always_on) : switches[key]),
      make("details", { hidden: !named.length },
        make("summary", {}, texts.details), make("ul", {}, ...named)));
  });
  const list = make("div", {}, ...rows);
  const heading = make("h2", { tabIndex: -1 }, texts.title);
  const press = (method, wanted) => {
    hide();
    save(method, pick(wanted));
  };
  const close = choice ? button(texts.cancel, hide) : button(texts.close, () => press("close", () => false));
  close.className = "close";
  const third = button("", () => list.hidden ? choose(true) : press("choose", (key) => switches[key].checked));
  const choose = (now) => {
    list.hidden = !now;
    third.textContent = now ? texts.save : texts.choose;
    (now ? heading : third).focus();
  };
  choose(choosing);
  hide();
  panel = make("section", { className: "card", ariaLabel: texts.title, lang: language, dir: direction },
    make("header", {}, heading, close),
    make("p", {}, `${texts.text} `, make("a", { href: config.notice_url }, texts.more)),
    make("p", { className: "note", hidden: !optional().some(({ key }) => refused(key)) }, texts.gpc),
    list,
    make("div", { className: "buttons" },
      button(texts.accept, () => press("accept", () => true)),
      button(texts.refuse, () => press("refuse", () => false)),
      third));
  panel.onkeydown = ({ key }) => { // decides nothing
    if (key !== "Escape") return;
    if (choice) hide();
    else if (!list.hidden) choose(false);
  };
  place().prepend(panel);
  if (choosing) heading.focus();
  root.style.scrollPaddingBottom = `${panel.offsetHeight + 32}px`; // the focus is not covered
}

function hide() {
  const hasFocus = panel?.matches(":focus-within");
  panel?.remove();
  root.style.scrollPaddingBottom = "";
  if (hasFocus) opener?.focus();
}

function say(text) {
  place().querySelector(".said").textContent = text;
  clearTimeout(timer);
  timer = setTimeout(say, 8000, "");
}

/* The banner: first in the page, apart from its styles, and outside body, whose layout it must not change. */
function place() {
  host ??= build();
  if (!host.isConnected) document.documentElement.insertBefore(host, document.body);
  return host.shadowRoot;
}

function build() {
  const made = make("preference-center-consent");
  const shadow = made.attachShadow({ mode: "open" });
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    shadow.adoptedStyleSheets = [sheet];
  } catch {} // an older browser shows it plain
  const { dark, ...looks } = config.brand;
  for (const [name, value] of Object.entries(looks)) made.style.setProperty(`--${name}`, dark[name] ? `light-dark(${value}, ${dark[name]})` : value);
  made.style.setProperty("--font", getComputedStyle(document.body).fontFamily);
  shadow.append(make("output", { className: "card said" }));
  return made;
}

/* All of the site's scripts but async ones have run, so that they hear the event. */
async function parsed() {
  const [page] = performance.getEntriesByType("navigation");
  if (document.readyState === "complete" || page?.domContentLoadedEventStart) return;
  await new Promise((done) => ["DOMContentLoaded", "load"].forEach((name) => addEventListener(name, done)));
}

async function start(cache) {
  await parsed();
  const path = `consent/${script.dataset.site}/config.json?language=${root.lang || navigator.language}`;
  const answer = await fetch(new URL(path, script.src), { cache, credentials: "omit" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  config = { ...await answer.json(), isFresh: !!cache };
  const found = cookie();
  apply(read());
  if (!cache && found && !found.isValid) return start("no-cache"); // of a newer version?
  resend();
  if (choice) return;
  if (optional().some(({ key }) => !refused(key))) show();
  else if (!cache && optional().length && navigator.cookieEnabled) save("gpc", pick(() => false));
}

const get = () => structuredClone(choice);
const onChange = (handler) => document.addEventListener(EVENT, (event) => {
  if (handler(event.detail) === false) event.preventDefault(); // it has dealt with a withdrawal
});
window.preferenceCenter = { ...window.preferenceCenter, consent: { get, open: () => config && show(true), onChange } };

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("[data-consent-open]");
  if (!pressed || !config) return; // a link leads to a page
  event.preventDefault();
  opener = pressed;
  show(true);
});
/* Another tab may have chosen, also while this page was in the back/forward cache. */
function look() {
  const now = config && read();
  if (now || isKept) update(now);
  if (config && !sending) resend();
}
document.addEventListener("visibilitychange", look);
addEventListener("pageshow", look);
addEventListener("pagehide", () => { sending = null; }); // what fails now is for the next page to send
/* A single-page application shows another page, or replaces all of it. */
new MutationObserver(() => {
  if (panel?.isConnected === false && panel.parentNode) place();
  if (choice && document.querySelector("[data-consent]")) run();
}).observe(document, { childList: true, subtree: true, attributeFilter: ["data-consent"] });
start().catch(console.warn);
})();
