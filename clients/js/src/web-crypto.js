// Web Crypto, which every runtime has; Node.js 18 only as a module of its own.

/** @type {Promise<Crypto> | undefined} */
let found;

/** @returns {Promise<Crypto>} */
export function webCrypto() {
  found ??= find();
  return found;
}

async function find() {
  if (globalThis.crypto?.subtle) return globalThis.crypto;
  const name = 'node:crypto'; // a variable, so that bundlers for other runtimes pass it by
  return (await import(name)).webcrypto;
}
