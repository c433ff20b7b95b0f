// Compiled, never run: the code has the types that index.d.ts declares, and they serve a caller.

import * as client from '../src/client.js';
import * as errors from '../src/errors.js';
import * as links from '../src/links.js';
import * as declared from '../src/index.js';
import type { Decision, OptOut, Recorded } from '../src/index.js';

export const implemented: typeof declared = { ...client, ...errors, ...links };

export async function caller(preferences: declared.PreferenceCenter): Promise<string> {
  const decision: Decision = await preferences.decide('newsletter.monthly', 'ada@example.com');
  if (decision.rule === declared.UNANSWERED) return 'later';
  const row: OptOut = {
    address: 'ada@example.com',
    scope: 'all_marketing',
    via: 'phone',
    received_at: new Date().toISOString(),
  };
  const one: Recorded = await preferences.optOut(row);
  const many: Recorded[] = await preferences.optOut([row]);
  // @ts-expect-error an opt-out needs to say how it was received
  await preferences.optOut({ address: 'a@example.com', scope: 'news', received_at: '' });
  for await (const page of preferences.changes()) return page.next;
  return [one, ...many].map((each) => each.event).join();
}
