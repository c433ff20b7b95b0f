// A service that answers as a test says, on a real socket.

import { once } from 'node:events';
import { createServer } from 'node:http';

import { PreferenceCenter } from '../src/index.js';

/**
 * Serve the answers in turn, the last one for ever; remember the requests and the waits.
 *
 * @param {import('node:test').TestContext} t
 * @param {...any} answers `[status, body, headers]`, or `null` to hang
 */
export async function serve(t, ...answers) {
  /** @type {{ method: string, url: string, headers: any, body: any }[]} */
  const requests = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    const { method = '', url = '', headers } = request;
    requests.push({ method, url, headers, body: text ? JSON.parse(text) : null });
    if (answer === null) return;
    const [status, body, more] = typeof answer === 'function' ? answer(requests.at(-1)) : answer;
    response.writeHead(status, { 'Content-Type': 'application/json', ...more });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { requests, url: `http://127.0.0.1:${port}` };
}

/**
 * A client that does not wait in earnest, and the seconds that it would have waited.
 *
 * @param {string} url
 * @param {object} [options]
 */
export function connect(url, options = {}) {
  /** @type {number[]} */
  const waits = [];
  const sleep = async (/** @type {number} */ seconds) => {
    waits.push(seconds);
  };
  const readLimits = { attempt: 60, call: 180 }; // a busy machine may take its time
  const fixed = { url, key: 'pc_shop_x', sleep, random: () => 0, readLimits };
  const client = new PreferenceCenter({ ...fixed, ...options });
  return { client, waits };
}
