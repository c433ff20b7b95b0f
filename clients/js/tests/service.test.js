// The client against a running service.
//
// PREFERENCE_CENTER_URL, _KEY and _LINK_KEY name one whose catalogue has an opt-out topic
// `acme.offers` with the type `offers.weekly`, an opt-in topic `acme.news` with
// `newsletter.monthly`, and the service type `invoice`. `make test-clients` starts it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError, LinkMinter, PreferenceCenter } from '../src/index.js';

const {
  PREFERENCE_CENTER_URL: url = '',
  PREFERENCE_CENTER_KEY: key = '',
  PREFERENCE_CENTER_LIMITED_KEY: limitedKey = '',
  PREFERENCE_CENTER_LINK_KEY: linkKey = '',
} = process.env;
const options = { skip: url ? false : 'PREFERENCE_CENTER_URL names no service' };
const WHEN = '2026-11-24T08:00:00Z';
const EVIDENCE = { source: 'checkout', wording: 'Yes, write to me', language: 'en', occurred_at: WHEN };

const connect = () => new PreferenceCenter({ url, key, serviceTypes: ['invoice'] });
/** Of somebody nobody else asks about. */
const somebody = () => `ada-${Math.random().toString(36).slice(2)}@example.com`;
/** @param {string} address */
const optOutOf = (address) =>
  /** @type {const} */ ({ address, scope: 'acme.offers', via: 'phone', received_at: WHEN });

test('an opt-out counts for the next decision', options, async () => {
  const client = connect();
  const address = somebody();
  const before = await client.decide('offers.weekly', address);
  assert.deepEqual([before.allow, before.rule], [true, 'not_opted_out']);
  const row = optOutOf(address);
  const recorded = await client.optOut(row, { idempotencyKey: `of-${address}` });
  assert.equal(recorded.recorded, true);
  const after = await client.decide('offers.weekly', address);
  assert.deepEqual([after.allow, after.rule], [false, 'opted_out_of_topic']);
  assert.deepEqual([after.event, after.scope], [recorded.event, 'acme.offers']);
  const repeated = { idempotencyKey: `of-${address}` };
  assert.deepEqual(await client.optOut(row, repeated), recorded);
  assert.deepEqual(await client.optOut([row]), [{ recorded: false }]);
  assert.equal((await client.decide('invoice', address)).allow, true);
});

test('a list is decided in its order', options, async () => {
  const client = connect();
  const [ada, eve] = [somebody(), somebody()];
  await client.optOut([optOutOf(eve)]);
  const decisions = await client.decideAll('offers.weekly', [ada, eve, 'not an address']);
  assert.deepEqual(
    decisions.map(({ rule }) => rule),
    ['not_opted_out', 'opted_out_of_topic', 'unparseable_address'],
  );
});

test('a consent is recorded, and lifts only as the own act of the person', options, async () => {
  const client = connect();
  const address = somebody();
  const consent = { address, topic: 'acme.news', evidence: EVIDENCE };
  assert.equal((await client.decide('newsletter.monthly', address)).rule, 'no_consent');
  assert.equal((await client.consent(consent)).recorded, true);
  assert.equal((await client.decide('newsletter.monthly', address)).rule, 'consented');
  await client.optOut(optOutOf(address));
  const later = { ...EVIDENCE, occurred_at: '2026-11-24T08:30:00Z' };
  const lifted = await client.lift({ address, scope: 'acme.offers', evidence: later });
  assert.deepEqual([lifted.recorded, lifted.lifted], [true, true]);
});

test('preferences are read and changed', options, async () => {
  const client = connect();
  const address = somebody();
  const shown = await client.preferences({ address, language: 'en' });
  assert.equal(shown.topics['acme.offers'].state, 'on');
  const changed = await client.updatePreferences({
    address,
    rendered_at: shown.read_at,
    evidence: EVIDENCE,
    topics: { 'acme.offers': { state: 'off' } },
  });
  assert.equal(changed.topics['acme.offers'].state, 'off');
  assert.equal(changed.events.length, 1);
  assert.match((await client.portalLink({ address })).url, /\/portal\//);
});

test('a link made offline opts out by one click', options, async () => {
  const client = connect();
  const address = somebody();
  const links = await new LinkMinter(linkKey).mint(address, 'acme.offers');
  assert.equal(links.headers['List-Unsubscribe-Post'], 'List-Unsubscribe=One-Click');
  const body = new URLSearchParams({ 'List-Unsubscribe': 'One-Click' });
  const answer = await fetch(links.unsubscribeUrl, { method: 'POST', body });
  assert.equal(answer.status, 200);
  assert.equal((await client.decide('offers.weekly', address)).allow, false);
  const page = await fetch(links.preferencesUrl);
  assert.equal(page.status, 200);
});

test('links are made by the service too', options, async () => {
  const links = await connect().links([{ address: somebody(), scope: 'acme.offers', message_id: 'm-1' }]);
  assert.match(links[0].headers['List-Unsubscribe'], /^<https?:/);
});

test('the feed has what was recorded', options, async () => {
  const client = connect();
  const { event } = await client.optOut(optOutOf(somebody()));
  const isThere = async () => {
    const seen = [];
    for await (const { changes } of client.changes(undefined, { limit: 2 })) seen.push(...changes);
    return seen.some(({ id }) => id === event);
  };
  const end = Date.now() + 60_000; // any open transaction holds the feed back
  while (!(await isThere()) && Date.now() < end) await new Promise((go) => setTimeout(go, 50));
  assert.ok(await isThere());
});

test('an operation without a method of its own is requested', options, async () => {
  const client = connect();
  const address = somebody();
  await client.optOut(optOutOf(address));
  const body = { address };
  const { history } = await client.request('POST', '/v1/suppressions/query', { body, read: true });
  assert.deepEqual(history.map((/** @type {any} */ { kind }) => kind), ['opted_out']);
  const query = { scope: 'acme.offers', limit: '1' };
  const page = await client.request('GET', '/v1/suppressions', { query });
  assert.equal(page.suppressions.length, 1);
});

test('what the service refuses is an error that says what to fix', options, async () => {
  const client = connect();
  const typo = { ...optOutOf(somebody()), scope: 'acme.ofers' };
  await assert.rejects(client.optOut(typo), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.type, error.errors[0].pointer], [422, 'unknown-topic', '/scope']);
    return true;
  });
  const limited = new PreferenceCenter({ url, key: limitedKey });
  await assert.rejects(limited.decide('invoice', somebody()), { status: 403, type: 'not-permitted' });
  const stranger = new PreferenceCenter({ url, key: 'pc_nobody_x' });
  await assert.rejects(stranger.decide('offers.weekly', somebody()), { status: 401 });
});
