/**
 * Client of the preference center: may this message be sent, and record who said stop.
 *
 * What is sent and returned has the fields of the service's API (docs/api.md). Fields that the
 * API may gain are passed on; ignore those that you do not know.
 */

export type Channel = 'email' | 'sms' | 'phone';

/** The rule of a decision that the service did not make. */
export const UNANSWERED: 'unanswered';

export type DecisionRule =
  | 'service'
  | 'after_closing'
  | 'consented'
  | 'not_opted_out'
  | 'restricted'
  | 'opted_out_of_topic'
  | 'opted_out_of_all_marketing'
  | 'opted_out_of_sharing'
  | 'complained'
  | 'bounced'
  | 'paused'
  | 'no_consent'
  | 'closed'
  | 'retired_topic'
  | 'wrong_channel'
  | 'unparseable_address'
  | 'unknown_message_type'
  | 'unreadable_line'
  | typeof UNANSWERED;

/** Whether one message may be sent to one address at this moment. */
export interface Decision {
  /** Send only if this is true. */
  allow: boolean;
  /** What decided; more rules may be added. */
  rule: DecisionRule;
  /** What the event that decided covers. */
  scope?: string;
  event?: string;
  since?: string;
  /** What did not decide: `bounced` for service messages. */
  advisory?: string;
  /** How often the person wants the topic: send no more often. */
  frequency?: string;
  /** Everything recorded before this watermark was considered. In the decision for one only. */
  as_of?: string;
}

/** An opt-out that reached you other than on the service's pages. Times are ISO 8601 with a zone. */
export interface OptOut {
  address: string;
  channel?: Channel;
  /** A topic, or `all_marketing`. */
  scope: string;
  via: 'phone' | 'postal_mail' | 'reply' | 'certified_mail' | 'in_person' | 'chat' | 'form' | 'app';
  /** When the company received it: the 72 hours count from then. */
  received_at: string;
  occurred_at?: string;
  /** The version of the privacy policy that was shown, if one was. */
  policy?: string;
}

export interface Evidence {
  source: string;
  wording: string;
  language: string;
  occurred_at: string;
  /** The version of the privacy policy that was shown with it, if one was. */
  policy?: string;
}

export interface Consent {
  address: string;
  channel?: Channel;
  topic: string;
  evidence: Evidence;
  /** The person's own act, which may lift an older opt-out. */
  own_act?: boolean;
}

export interface Lift {
  address: string;
  channel?: Channel;
  scope: string;
  evidence: Evidence;
}

export interface Recorded {
  /** false: the same act, at most five seconds apart, was recorded before. */
  recorded: boolean;
  event?: string;
}

export interface Lifted extends Recorded {
  lifted: boolean;
  /** What keeps the scope off, if it was not lifted. */
  rule?: DecisionRule;
}

export interface LinkRequest {
  address: string;
  channel?: Channel;
  /** What the link opts out of: a topic, or `all_marketing`. */
  scope: string;
  message_id?: string;
  short?: boolean;
}

export interface ListUnsubscribeHeaders {
  'List-Unsubscribe': string;
  'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click';
}

export interface MessageLinks {
  token: string;
  unsubscribe_url: string;
  preferences_url: string;
  /** Set them as they are, unfolded, and let DKIM sign both (RFC 8058). */
  headers: ListUnsubscribeHeaders;
  short_url?: string;
}

export interface Choice {
  state: 'on' | 'off' | 'paused';
  /** The end of a pause. */
  until?: string;
}

export interface Setting extends Choice {
  since?: string;
  rule?: DecisionRule;
  frequency?: string;
}

export interface PreferencesQuery {
  address: string;
  channel?: Channel;
  language?: string;
}

export interface Preferences {
  read_at: string;
  closed: boolean;
  restricted: boolean;
  opt_in: 'immediate' | 'unavailable';
  all_marketing: Setting;
  topics: Record<string, Setting>;
  always_on: string[];
  one_way_systems: string[];
}

export interface PreferencesUpdate {
  address: string;
  channel?: Channel;
  /** `read_at` of the preferences that your page showed. */
  rendered_at: string;
  evidence: Evidence;
  all_marketing?: Choice;
  topics?: Record<string, Choice>;
  frequencies?: Record<string, string>;
}

export interface PortalLinkRequest {
  address: string;
  channel?: Channel;
  also?: { address: string; channel?: Channel }[];
  language?: string;
}

export interface ChangesPage {
  /** The events, as docs/feed.md describes them. */
  changes: Record<string, unknown>[];
  /** Store it together with what you made of `changes`. */
  next: string;
  more: boolean;
}

/** Seconds for one attempt, and for the whole call with its waits. */
export interface Limits {
  attempt: number;
  call: number;
}

export interface RequestOptions {
  limits?: Partial<Limits>;
  /** Ends the call; its reason is thrown. */
  signal?: AbortSignal;
}

export interface WriteOptions extends RequestOptions {
  /** A write is executed once for each key. Give your own to repeat it from another process. */
  idempotencyKey?: string;
}

export interface DecisionOptions extends RequestOptions {
  channel?: Channel;
}

export interface AnyRequestOptions extends WriteOptions {
  body?: unknown;
  query?: Record<string, string>;
  /** Whether a POST only reads: it gets the limits of a read, and no idempotency key. */
  read?: boolean;
}

export interface ClientOptions {
  /** e.g. `https://preferences.example.com` */
  url: string;
  /** A secret: never in a browser. */
  key: string;
  /**
   * The message types whose class in the catalogue is `service`. They are sent when the service
   * does not answer; every other type is marketing, and is not.
   */
  serviceTypes?: Iterable<string>;
  /** Called for every decision that the service did not make: log the error. */
  onUnanswered?: (error: unknown, messageType: string) => void;
  /** Of decisions and other reads; 2 and 5 seconds if left out. */
  readLimits?: Partial<Limits>;
  /** Of writes; 30 and 90 seconds if left out. */
  writeLimits?: Partial<Limits>;
  fetch?: typeof globalThis.fetch;
  /** Waits so many seconds; for tests. */
  sleep?: (seconds: number, signal?: AbortSignal) => Promise<void>;
  /** A number from 0 to 1; for tests. */
  random?: () => number;
}

/**
 * Calls the service. Every call repeats what may succeed later (no response, 429, 5xx), honours
 * Retry-After, and ends within its limits.
 */
export class PreferenceCenter {
  constructor(options: ClientOptions);

  /**
   * May this message be sent to this address now? Never rejects with Unavailable: while the
   * service does not answer, the rule is `unanswered`, and only `serviceTypes` are allowed. It
   * is then not asked again for ten seconds, so that it slows nobody.
   *
   * Rejects with ApiError if the request is refused, except for `serviceTypes`.
   */
  decide(messageType: string, recipient: string, options?: DecisionOptions): Promise<Decision>;

  /** The same for any number of addresses, in their order; 10,000 in one request. */
  decideAll(
    messageType: string,
    recipients: readonly string[],
    options?: DecisionOptions,
  ): Promise<Decision[]>;

  /**
   * Record an opt-out, or up to 10,000, all or none. Resolved means committed. Rejects with
   * Unavailable: keep the opt-out, and try again later.
   */
  optOut(row: OptOut, options?: WriteOptions): Promise<Recorded>;
  optOut(rows: readonly OptOut[], options?: WriteOptions): Promise<Recorded[]>;

  consent(row: Consent, options?: WriteOptions): Promise<Recorded>;
  consent(rows: readonly Consent[], options?: WriteOptions): Promise<Recorded[]>;

  /** Lift suppressions by the person's own act. */
  lift(row: Lift, options?: WriteOptions): Promise<Lifted>;
  lift(rows: readonly Lift[], options?: WriteOptions): Promise<Lifted[]>;

  /** Links and headers for messages; `LinkMinter` makes them offline. */
  links(row: LinkRequest, options?: WriteOptions): Promise<MessageLinks>;
  links(rows: readonly LinkRequest[], options?: WriteOptions): Promise<MessageLinks[]>;

  /** The preferences of exactly this address, to draw a page of your own. */
  preferences(query: PreferencesQuery, options?: RequestOptions): Promise<Preferences>;

  /** Record what a signed-in customer changed, and nothing else. */
  updatePreferences(
    update: PreferencesUpdate,
    options?: WriteOptions,
  ): Promise<Preferences & { events: string[] }>;

  /** A link to the page of a signed-in customer: redirect to it at once. */
  portalLink(
    request: PortalLinkRequest,
    options?: RequestOptions,
  ): Promise<{ url: string; expires_at: string }>;

  /** The change feed after a watermark, page by page, until there is no more. */
  changes(
    after?: string,
    options?: RequestOptions & { limit?: number },
  ): AsyncGenerator<ChangesPage, void, undefined>;

  /** Any other operation of the API; returns the parsed JSON. */
  request(method: string, path: string, options?: AnyRequestOptions): Promise<any>;
}

export interface MintedLinks {
  /** The page with one button; mail programs POST to it (RFC 8058). */
  unsubscribeUrl: string;
  preferencesUrl: string;
  /** Set them as they are: unfolded, not encoded. */
  headers: ListUnsubscribeHeaders;
}

/**
 * Makes links with the key of one sender, offline. Throws TypeError for an invalid key; no
 * message of an error contains the key or an address.
 */
export class LinkMinter {
  constructor(key: string, options?: { clock?: () => number });

  /** The topics that this key makes links for. */
  get topics(): string[];

  /**
   * The links of one message. `address` is a bare email address, or a phone number in
   * international form. `messageId` is your own: up to 64 printable characters, no personal
   * data; a UUID keeps links short.
   */
  mint(address: string, topic: string, messageId?: string): Promise<MintedLinks>;
}

/** The base of all errors of this package. No message holds an address, a key or a token. */
export class PreferenceCenterError extends Error {
  constructor(message: string);
}

/** There was no usable response in time, after every attempt. */
export class Unavailable extends PreferenceCenterError {
  constructor(message: string, status?: number | null, retryAfter?: number | null);
  /** Of the last response, if there was one. */
  status: number | null;
  /** In seconds, if the service asked for it. */
  retryAfter: number | null;
}

export interface FieldError {
  /** Where in the body (RFC 6901). */
  pointer?: string;
  parameter?: string;
  code: string;
  detail: string;
}

/** The service refused the request: repeating it unchanged does not help. */
export class ApiError extends PreferenceCenterError {
  constructor(status: number, problem: unknown);
  status: number;
  /** Stable, for programs, e.g. `unknown-topic`. */
  type: string;
  /** For people. */
  detail: string;
  errors: FieldError[];
}
