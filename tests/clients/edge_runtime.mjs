// Runs the JavaScript client in workerd, the runtime of Cloudflare Workers: every link of the
// contract, and decisions and an opt-out of the service that the environment names. Prints "ok".
//
// node edge_runtime.mjs: folder of the client's sources, path of the contract

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';

const [sources, contract] = process.argv.slice(2);
const { PREFERENCE_CENTER_URL: url, PREFERENCE_CENTER_KEY: key } = process.env;

const WORKER = `
import { LinkMinter, PreferenceCenter } from './src/index.js';
import contract from './contract.js';

async function run({ url, key }) {
  for (const each of contract.links.made) {
    const clock = () => each.at * 1000;
    const minter = new LinkMinter(contract.links.keys[each.key], { clock });
    const links = await minter.mint(each.address, each.topic, each.message_id);
    if (JSON.stringify(links.headers) !== JSON.stringify(each.headers)) return 'another link';
  }
  const client = new PreferenceCenter({ url, key });
  const address = 'ada@example.com';
  const before = await client.decide('offers.weekly', address);
  const received_at = '2026-11-24T08:00:00Z';
  await client.optOut({ address, scope: 'acme.offers', via: 'phone', received_at });
  const [after] = await client.decideAll('offers.weekly', [address]);
  const errors = [];
  const onUnanswered = (error) => errors.push(error.name);
  const nobody = new PreferenceCenter({ url: 'http://127.0.0.1:9', key, onUnanswered });
  const down = await nobody.decide('offers.weekly', address);
  const rules = [before.rule, after.rule, down.rule, ...errors].join(' ');
  return rules === 'not_opted_out opted_out_of_topic unanswered Unavailable' ? 'ok' : rules;
}

export default {
  async fetch(_request, environ) {
    return new Response(await run(environ));
  },
};
`;

const module = (path, contents) => ({ type: 'ESModule', path: `/worker/${path}`, contents });
const worker = new Miniflare({
  compatibilityDate: '2025-01-01',
  bindings: { url, key },
  modulesRoot: '/worker',
  modules: [
    module('index.mjs', WORKER),
    module('contract.js', `export default ${readFileSync(contract, 'utf8')}`),
    ...readdirSync(sources)
      .filter((name) => name.endsWith('.js'))
      .map((name) => module(`src/${name}`, readFileSync(join(sources, name), 'utf8'))),
  ],
});
const response = await worker.dispatchFetch('http://localhost/');
console.log(await response.text());
await worker.dispose();
