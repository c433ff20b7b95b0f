// What the client does with every kind of answer, and without one.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ApiError, PreferenceCenter, PreferenceCenterError, Unavailable } from '../src/index.js';
import { connect, serve } from './stub.js';

const contract = JSON.parse(readFileSync(new URL('../../contract.json', import.meta.url), 'utf8'));
const ADA = 'ada@example.com';
const ALLOWED = { allow: true, rule: 'not_opted_out', as_of: '01ee385b.9407.3' };
const OPT_OUT = /** @type {const} */ ({
  address: ADA,
  scope: 'acme.offers',
  via: 'phone',
  received_at: '2026-11-24T09:00:00Z',
});
const PROBLEM = {
  type: 'https://preferences.example.com/problems/unknown-topic',
  title: 'The catalogue has no such topic',
  status: 422,
  detail: '/scope: the catalogue has no such topic',
  errors: [{ pointer: '/scope', code: 'unknown-topic', detail: 'no such topic' }],
};

test('a decision is asked for with the key, in the body and never in the URL', async (t) => {
  const { url, requests } = await serve(t, [200, ALLOWED]);
  const decision = await connect(`${url}/`).client.decide('offers.weekly', ADA);
  assert.deepEqual(decision, ALLOWED);
  const [{ method, url: path, headers, body }] = requests;
  assert.deepEqual([method, path], ['POST', '/v1/decisions']);
  assert.equal(headers.authorization, 'Bearer pc_shop_x');
  assert.equal(headers['idempotency-key'], undefined);
  assert.deepEqual(body, { message_type: 'offers.weekly', channel: 'email', recipient: ADA });
});

test('a list of any length is asked for in requests of ten thousand, in its order', async (t) => {
  const { url, requests } = await serve(t, (/** @type {any} */ { body }) => [
    200,
    {
      as_of: 'x',
      decisions: body.recipients.map((/** @type {string} */ each) => ({
        allow: each.startsWith('1'),
        rule: 'consented',
      })),
    },
  ]);
  const people = Array.from({ length: 20_002 }, (_, at) => `${at}@example.com`);
  const decisions = await connect(url).client.decideAll('offers.weekly', people);
  assert.deepEqual(requests.map(({ body }) => body.recipients.length), [10_000, 10_000, 2]);
  assert.deepEqual(
    decisions.map(({ allow }) => allow),
    people.map((each) => each.startsWith('1')),
  );
  assert.deepEqual(await connect(url).client.decideAll('offers.weekly', []), []);
});

/** @type {Record<string, (t: any, options: object) => Promise<PreferenceCenter>>} */
const FAILURES = {
  no_connection: async (_, options) => connect('http://127.0.0.1:9', options).client,
  time_out: async (t, options) => {
    const { url } = await serve(t, null);
    return connect(url, { ...options, readLimits: { attempt: 0.02 } }).client;
  },
  unreadable: async (t, options) => {
    const { url } = await serve(t, [200, '<html>sign in</html>']);
    return connect(url, options).client;
  },
};

for (const { failure, marketing, service } of contract.unanswered.cases) {
  test(`${failure}: marketing ${marketing}, service ${service}`, async (t) => {
    /** @type {unknown[]} */
    const errors = [];
    const options = {
      serviceTypes: ['password_reset'],
      onUnanswered: (/** @type {unknown} */ error) => errors.push(error),
    };
    const start = async () =>
      FAILURES[failure]
        ? FAILURES[failure](t, options)
        : connect((await serve(t, [failure, PROBLEM])).url, options).client;
    const answered = { allow: true, rule: contract.unanswered.rule };
    assert.deepEqual(await (await start()).decide('password_reset', ADA), answered);
    assert.equal(errors.length, 1);
    const asked = (await start()).decideAll('offers.weekly', [ADA, ADA]);
    if (marketing === 'error') {
      await assert.rejects(asked, ApiError);
    } else {
      const denied = { allow: false, rule: contract.unanswered.rule };
      assert.deepEqual(await asked, [denied, denied]);
      assert.ok(errors[1] instanceof Unavailable);
      assert.ok(!errors[1].message.includes('@'));
    }
  });
}

for (const answer of contract.answered.cases) {
  test(`a service message is asked about too: ${answer.rule}`, async (t) => {
    const { url, requests } = await serve(t, [200, answer]);
    const { client } = connect(url, { serviceTypes: ['password_reset'] });
    assert.deepEqual(await client.decide('password_reset', ADA), answer);
    assert.equal(requests.length, 1);
  });
}

test('a decision with another shape than described allows nothing', async (t) => {
  for (const body of [{}, { allow: 'yes' }, null, [], { decisions: [] }, { allow: 1 }]) {
    const { url } = await serve(t, [200, body]);
    assert.equal((await connect(url).client.decide('offers.weekly', ADA)).allow, false);
  }
  const { url } = await serve(t, [200, { decisions: [ALLOWED] }]);
  const decisions = await connect(url).client.decideAll('offers.weekly', [ADA, 'eve@example.com']);
  assert.deepEqual(decisions.map(({ allow }) => allow), [false, false]);
});

test('a service that is down is left alone for a while, also between lists', async (t) => {
  const { url, requests } = await serve(t, [503, PROBLEM]);
  const { client } = connect(url);
  const people = Array.from({ length: 30_000 }, (_, at) => `${at}@example.com`);
  const decisions = await client.decideAll('offers.weekly', people);
  assert.equal(requests.length, 3);
  assert.equal(decisions.filter(({ rule }) => rule === 'unanswered').length, 30_000);
  assert.equal((await client.decide('offers.weekly', ADA)).allow, false);
  assert.equal(requests.length, 3);
});

test('Retry-After is waited for, and the repeated write has the same key', async (t) => {
  const busy = [503, PROBLEM, { 'Retry-After': '7' }];
  const { url, requests } = await serve(t, busy, [200, { recorded: true, event: 'e' }]);
  const { client, waits } = connect(url);
  assert.deepEqual(await client.optOut(OPT_OUT), { recorded: true, event: 'e' });
  assert.deepEqual(waits, [7]);
  const keys = requests.map(({ headers }) => headers['idempotency-key']);
  assert.match(keys[0], /^[0-9a-f-]{36}$/);
  assert.deepEqual(keys, [keys[0], keys[0]]);
  assert.deepEqual(requests[1].body, OPT_OUT);
});

test('every write has a key of its own, or the one that was given', async (t) => {
  const { url, requests } = await serve(t, [200, [{ recorded: true }]]);
  const { client } = connect(url);
  await client.optOut([OPT_OUT]);
  await client.optOut([OPT_OUT]);
  await client.optOut([OPT_OUT], { idempotencyKey: 'ticket-4711' });
  const keys = requests.map(({ headers }) => headers['idempotency-key']);
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[2], 'ticket-4711');
});

test('a write that was not answered is an error: nothing says that it is recorded', async (t) => {
  const { url, requests } = await serve(t, [503, PROBLEM, { 'Retry-After': '2' }]);
  await assert.rejects(connect(url).client.optOut(OPT_OUT), (error) => {
    assert.ok(error instanceof Unavailable && error instanceof PreferenceCenterError);
    assert.deepEqual([error.status, error.retryAfter], [503, 2]);
    assert.equal(error.message, 'POST /v1/opt-outs was answered with 503');
    return true;
  });
  assert.equal(requests.length, contract.retries.attempts);
  const short = await serve(t, [200, []]);
  await assert.rejects(connect(short.url).client.optOut([OPT_OUT]), Unavailable);
});

test('a refusal is not repeated, and says what to fix', async (t) => {
  const { url, requests } = await serve(t, [422, PROBLEM]);
  await assert.rejects(connect(url).client.optOut(OPT_OUT), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.type], [422, 'unknown-topic']);
    assert.deepEqual(error.errors, PROBLEM.errors);
    return true;
  });
  assert.equal(requests.length, 1);
});

test('the key follows no redirect', async (t) => {
  const other = await serve(t, [200, ALLOWED]);
  const { url } = await serve(t, [307, '', { Location: `${other.url}/v1/decisions` }]);
  await assert.rejects(connect(url).client.decide('offers.weekly', ADA), ApiError);
  assert.equal(other.requests.length, 0);
});

test('a call ends within its limit, however slow each attempt is', async (t) => {
  const { url } = await serve(t, null);
  const start = performance.now();
  const { client } = connect(url, { writeLimits: { attempt: 10, call: 0.05 } });
  await assert.rejects(client.optOut(OPT_OUT), /was not answered within 0\.\d s/);
  assert.ok(performance.now() - start < 5000);
});

test('the caller may end a call', async (t) => {
  const { url } = await serve(t, null);
  const reason = new Error('the visitor left');
  const controller = new AbortController();
  const asked = connect(url).client.decide('offers.weekly', ADA, { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(asked, (error) => error === reason);
  const { signal } = controller;
  const busy = await serve(t, [503, PROBLEM, { 'Retry-After': '60' }]);
  const client = new PreferenceCenter({ url: busy.url, key: 'k' });
  await assert.rejects(client.optOut(OPT_OUT, { signal }), (error) => error === reason);
});

test('the feed is read page by page', async (t) => {
  const { url, requests } = await serve(
    t,
    [200, { changes: [{ id: '1' }], next: 'a.1', more: true }],
    [200, { changes: [], next: 'a.2', more: false }],
  );
  const pages = [];
  for await (const page of connect(url).client.changes('a.0', { limit: 5 })) pages.push(page.next);
  assert.deepEqual(pages, ['a.1', 'a.2']);
  assert.deepEqual(
    requests.map((request) => request.url),
    ['/v1/changes?limit=5&after=a.0', '/v1/changes?limit=5&after=a.1'],
  );
});

test('a client without a URL or a key is refused, and shows no key', () => {
  assert.throws(() => new PreferenceCenter({ url: 'preferences.example.com', key: 'k' }));
  assert.throws(() => new PreferenceCenter({ url: 'ftp://example.com', key: 'k' }), /https:/);
  assert.throws(() => new PreferenceCenter({ url: 'https://example.com', key: '' }), /keys add/);
  const client = new PreferenceCenter({ url: 'https://example.com', key: 'pc_shop_x' });
  assert.equal(JSON.stringify(client), '{}');
});
