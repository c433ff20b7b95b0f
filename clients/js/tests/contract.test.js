// The client against ../contract.json.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { LinkMinter } from '../src/index.js';
import { READ_LIMITS, WRITE_LIMITS } from '../src/limits.js';
import { ATTEMPTS, delayAfter, parseRetryAfter } from '../src/retries.js';

const contract = JSON.parse(readFileSync(new URL('../../contract.json', import.meta.url), 'utf8'));
const { keys, made, refused, not_keys: notKeys, topics } = contract.links;

for (const [number, each] of made.entries()) {
  test(`link ${number} is made as by the file for senders`, async () => {
    const minter = new LinkMinter(keys[each.key], { clock: () => each.at * 1000 + 999 });
    const links = await minter.mint(each.address, each.topic, each.message_id);
    assert.equal(links.unsubscribeUrl, each.unsubscribe_url);
    assert.equal(links.preferencesUrl, each.preferences_url);
    assert.deepEqual(links.headers, each.headers);
  });
}

for (const [number, each] of refused.entries()) {
  test(`what no link can carry (${number}) is refused, without the address`, async () => {
    const minter = new LinkMinter(keys.with_mail);
    await assert.rejects(minter.mint(each.address, each.topic, each.message_id), (error) => {
      assert.ok(error instanceof TypeError);
      assert.ok(!error.message.replace('name@example.com', '').includes('@'));
      return true;
    });
  });
}

test('half of a character is refused like other addresses that no text can hold', async () => {
  const minter = new LinkMinter(keys.with_mail);
  await assert.rejects(minter.mint('a\ud83d@example.com', 'acme.offers'), TypeError);
});

test('a text that is no key is refused, and never shown', () => {
  for (const text of notKeys) {
    assert.throws(() => new LinkMinter(text), (error) => {
      assert.match(String(error), /^TypeError: not a link key/);
      return text === '' || !String(error).includes(text);
    });
  }
});

test('a minter lists its topics, and shows no secret', () => {
  const minter = new LinkMinter(keys.with_mail);
  assert.deepEqual(minter.topics, topics);
  assert.equal(JSON.stringify(minter), '{}');
});

test('a minter is used by many at once', async () => {
  const minter = new LinkMinter(keys.with_mail, { clock: () => made[0].at * 1000 });
  const { address, topic, message_id: id } = made[0];
  const all = await Promise.all(Array.from({ length: 20 }, () => minter.mint(address, topic, id)));
  assert.equal(new Set(all.map((links) => links.unsubscribeUrl)).size, 1);
});

for (const [number, each] of contract.retries.cases.entries()) {
  test(`retry ${number}: ${JSON.stringify(each)}`, () => {
    const failed = {
      status: each.status,
      retryAfter: parseRetryAfter(each.retry_after, each.now ?? 0),
      attempt: each.attempt,
      secondsLeft: each.seconds_left,
    };
    const [shortest, longest] = [delayAfter(failed, 1), delayAfter(failed, 0)];
    assert.deepEqual(each.wait ?? [null, null], [shortest, longest]);
  });
}

test('as many attempts as every client makes', () => {
  assert.equal(ATTEMPTS, contract.retries.attempts);
});

test('the time limits of every client', () => {
  const { read, write } = contract.time_outs;
  assert.deepEqual({ read, write }, { read: READ_LIMITS, write: WRITE_LIMITS });
});
