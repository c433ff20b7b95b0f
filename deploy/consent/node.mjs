// The endpoint of the consent tool for a site on Node.js 18 or newer; it needs no package.
//
// Mount it at /consent of the site's own origin:
//
//   const consent = consentEndpoint('https://preferences.example.com/consent/shop', 3000, '...');
//   http.createServer((request, response) =>
//     request.url.split('?')[0] === '/consent' ? consent(request, response) : site(request, response));
//
// With Express: app.all('/consent', consent), before anything that reads the body.

const MAX_BODY_BYTES = 4096;
const PASSED = ['accept', 'accept-language', 'content-type', 'origin', 'sec-fetch-site', 'sec-gpc'];
const RETURNED = [
  'cache-control', 'content-language', 'content-security-policy', 'content-type', 'location',
  'referrer-policy', 'x-content-type-options', 'x-robots-tag',
];

// Passes requests on to `target`, the site's address at the preference center. If that has not
// answered within `timeout` milliseconds, the response is 503 and nothing optional runs; why is in
// the log. `secret` is the site's one of CONSENT_SECRETS there.
export function consentEndpoint(target, timeout = 3000, secret = '') {
  return async (request, response) => {
    // All of it is caught: an error that nobody handles would end the site's process.
    try {
      const body = await read(request);
      if (body === null) return plain(response, 413, 'A choice about cookies is smaller.\n');
      const start = request.url.indexOf('?');
      const answer = await fetch(target + (start < 0 ? '' : request.url.slice(start)), {
        method: request.method,
        headers: {...headersOf(request), ...(secret && {'x-consent-secret': secret})},
        body: ['GET', 'HEAD'].includes(request.method) ? undefined : body,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeout),
      });
      const content = Buffer.from(await answer.arrayBuffer());
      for (const name of RETURNED) {
        if (answer.headers.has(name)) response.setHeader(name, answer.headers.get(name));
      }
      const cookie = answer.headers.get('set-cookie');
      if (cookie) response.setHeader('set-cookie', cookie);
      response.writeHead(answer.status).end(content);
    } catch (error) {
      console.warn(`consent: ${new URL(target).host}: ${error.cause?.message ?? error.message}`);
      response.setHeader('retry-after', '60');
      plain(response, 503, "The choice about cookies can't be saved now. Nothing optional is used.\n");
    }
  };
}

// The body, or null if it is larger than any choice. It is read to its end all the same: to leave
// it would close the connection before the response.
async function read(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size <= MAX_BODY_BYTES) parts.push(part);
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(parts) : null;
}

// What the preference center needs; of the cookies, its own alone.
function headersOf(request) {
  const headers = {'x-forwarded-for': request.socket.remoteAddress ?? ''};
  for (const name of PASSED) {
    if (request.headers[name]) headers[name] = request.headers[name];
  }
  const cookies = (request.headers.cookie ?? '').split(';').map((each) => each.trim());
  const ours = cookies.find((each) => each.startsWith('pc_consent='));
  if (ours) headers.cookie = ours;
  return headers;
}

function plain(response, status, text) {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', connection: 'close',
  }).end(text);
}
