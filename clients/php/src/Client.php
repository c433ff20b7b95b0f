<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

use PreferenceCenter\Client\Http\CurlTransport;
use PreferenceCenter\Client\Http\StreamTransport;
use PreferenceCenter\Client\Http\Transport;

/**
 * Calls the service: may this message be sent, and record who said stop.
 *
 * What is sent and returned has the fields of the API (docs/api.md), as associative arrays. Every
 * call repeats what may succeed later (no response, 429, 5xx), honours Retry-After, ends within
 * its limits, and throws Unavailable or ApiError.
 */
final class Client
{
    /** Rows of one request. */
    private const MAX_ROWS = 10_000;
    private const PAUSE_SECONDS = 10.0;
    private const LONGEST_PAUSE_SECONDS = 60.0;

    private readonly string $base;
    private readonly Exchange $exchange;
    private readonly \Closure $clock;

    /**
     * @param string $url e.g. `https://preferences.example.com`
     * @param string $key a secret
     * @param list<string> $serviceTypes the message types whose class in the catalogue is
     *     `service`. They are sent when the service does not answer; every other type is
     *     marketing, and is not
     * @param ?\Closure(PreferenceCenterError, string): void $onUnanswered called for decisions that
     *     the service did not make, with the message type: log the error
     * @param ?\Closure(float): void $sleep for tests, as are `$draw` and `$clock`
     */
    public function __construct(
        string $url,
        #[\SensitiveParameter] private readonly string $key,
        private readonly array $serviceTypes = [],
        private readonly ?\Closure $onUnanswered = null,
        private readonly ?Limits $readLimits = null,
        private readonly ?Limits $writeLimits = null,
        ?Transport $transport = null,
        private readonly Outage $outage = new ProcessOutage(),
        ?\Closure $sleep = null,
        ?\Closure $draw = null,
        ?\Closure $clock = null,
    ) {
        if (!preg_match('#^https?://[^/]#', $url)) {
            throw new \InvalidArgumentException(
                'the URL of the service looks like https://preferences.example.com'
            );
        }
        if ($key === '') {
            throw new \InvalidArgumentException('no key: an operator makes one with `keys add`');
        }
        $this->base = rtrim($url, '/');
        $this->clock = $clock ?? static fn (): float => microtime(true);
        $this->exchange = new Exchange(
            $transport ?? (extension_loaded('curl') ? new CurlTransport() : new StreamTransport()),
            $sleep ?? static fn (float $seconds) => usleep((int) ($seconds * 1e6)),
            $draw ?? static fn (): float => random_int(0, 1_000_000) / 1_000_000,
            $this->clock,
        );
    }

    /** @return array<string, mixed> nothing: a key in a dump is a leaked key */
    public function __debugInfo(): array
    {
        return ['url' => $this->base];
    }

    /**
     * May this message be sent to this address now?
     *
     * Never throws Unavailable: while the service does not answer, the rule is `unanswered`, and
     * only `$serviceTypes` are allowed. It is then not asked again for ten seconds, so that it
     * slows nobody. Throws ApiError if the request is refused, except for `$serviceTypes`.
     */
    public function decide(
        string $messageType,
        #[\SensitiveParameter] string $recipient,
        string $channel = 'email',
    ): Decision {
        return $this->decideRows($messageType, [$recipient], $channel)[0];
    }

    /**
     * The same for any number of addresses, in their order; 10,000 in one request.
     *
     * @param list<string> $recipients
     * @return list<Decision>
     */
    public function decideAll(
        string $messageType,
        #[\SensitiveParameter] array $recipients,
        string $channel = 'email',
    ): array {
        $decisions = [];
        foreach (array_chunk($recipients, self::MAX_ROWS) as $rows) {
            array_push($decisions, ...$this->decideRows($messageType, $rows, $channel));
        }
        return $decisions;
    }

    /**
     * Record an opt-out, or a list of up to 10,000, all or none. When this returns, they are
     * committed. After Unavailable keep them, and try again later.
     *
     * @param array<mixed> $rows one row, or a list of rows
     * @param ?string $idempotencyKey of your own, to repeat the write from another process
     * @return array<mixed> `recorded` and `event`; for a list, a list
     */
    public function optOut(#[\SensitiveParameter] array $rows, ?string $idempotencyKey = null): array
    {
        return $this->writeRows('/v1/opt-outs', $rows, $idempotencyKey);
    }

    /**
     * Record a consent, or a list.
     *
     * @param array<mixed> $rows
     * @return array<mixed>
     */
    public function consent(#[\SensitiveParameter] array $rows, ?string $idempotencyKey = null): array
    {
        return $this->writeRows('/v1/consents', $rows, $idempotencyKey);
    }

    /**
     * Lift a suppression by the person's own act, or a list.
     *
     * @param array<mixed> $rows
     * @return array<mixed>
     */
    public function lift(#[\SensitiveParameter] array $rows, ?string $idempotencyKey = null): array
    {
        return $this->writeRows('/v1/suppressions/lift', $rows, $idempotencyKey);
    }

    /**
     * Links and headers of a message, or of a list; `LinkMinter` makes them offline.
     *
     * @param array<mixed> $rows
     * @return array<mixed>
     */
    public function links(#[\SensitiveParameter] array $rows, ?string $idempotencyKey = null): array
    {
        return $this->writeRows('/v1/links', $rows, $idempotencyKey);
    }

    /**
     * The preferences of exactly this address, to draw a page of your own.
     *
     * @return array<string, mixed>
     */
    public function preferences(
        #[\SensitiveParameter] string $address,
        string $channel = 'email',
        ?string $language = null,
    ): array {
        $body = ['address' => $address, 'channel' => $channel, 'language' => $language];
        return $this->read('POST', '/v1/preferences/query', array_filter($body, is_string(...)));
    }

    /**
     * Record what a signed-in customer changed, and nothing else.
     *
     * @param array<string, mixed> $update
     * @return array<string, mixed> the resulting preferences, and the `events`
     */
    public function updatePreferences(
        #[\SensitiveParameter] array $update,
        ?string $idempotencyKey = null,
    ): array {
        foreach (['topics', 'frequencies'] as $name) {
            if (($update[$name] ?? null) === []) {
                $update[$name] = new \stdClass(); // an empty array of PHP would become a list
            }
        }
        return $this->write('PUT', '/v1/preferences', $update, $idempotencyKey);
    }

    /**
     * The URL of the page of a signed-in customer: redirect to it at once.
     *
     * @param array<string, mixed> $request `address`, and optionally `channel`, `also`, `language`
     */
    public function portalLink(#[\SensitiveParameter] array $request): string
    {
        $read = static function (mixed $answer): string {
            if (!is_array($answer) || !is_string($answer['url'] ?? null)) {
                throw new \UnexpectedValueException('no URL');
            }
            return $answer['url'];
        };
        return $this->call('POST', '/v1/portal-links', $request, null, $this->limitsOfReads(), $read);
    }

    /**
     * The change feed after a watermark, page by page: `changes`, `next`, `more`.
     *
     * @return \Generator<int, array<string, mixed>>
     */
    public function changes(?string $after = null, int $limit = 1000): \Generator
    {
        do {
            $query = http_build_query(['limit' => $limit, 'after' => $after]);
            $page = $this->read('GET', "/v1/changes?$query");
            yield $page;
            $after = $page['next'];
        } while ($page['more']);
    }

    /**
     * Any other operation of the API that only reads, with its query in the path.
     *
     * @return array<mixed>
     */
    public function read(string $method, string $path, #[\SensitiveParameter] ?array $body = null): array
    {
        return $this->call($method, $path, $body, null, $this->limitsOfReads(), self::structure(...));
    }

    /**
     * Any other operation of the API that writes.
     *
     * @return array<mixed>
     */
    public function write(
        string $method,
        string $path,
        #[\SensitiveParameter] ?array $body = null,
        ?string $idempotencyKey = null,
    ): array {
        $key = $idempotencyKey ?? self::newIdempotencyKey();
        $limits = $this->writeLimits ?? Limits::ofWrites();
        return $this->call($method, $path, $body, $key, $limits, self::structure(...));
    }

    /**
     * @param array<mixed> $rows
     * @return array<mixed>
     */
    private function writeRows(
        string $path,
        #[\SensitiveParameter] array $rows,
        ?string $idempotencyKey,
    ): array {
        $count = array_is_list($rows) ? count($rows) : null;
        $read = static function (mixed $answer) use ($count): array {
            $results = self::structure($answer);
            if ($count !== null && count($results) !== $count) {
                throw new \UnexpectedValueException('there is not one result per row');
            }
            return $results;
        };
        $key = $idempotencyKey ?? self::newIdempotencyKey();
        return $this->call('POST', $path, $rows, $key, $this->writeLimits ?? Limits::ofWrites(), $read);
    }

    /**
     * @param non-empty-list<string> $recipients
     * @return non-empty-list<Decision>
     */
    private function decideRows(
        string $messageType,
        #[\SensitiveParameter] array $recipients,
        string $channel,
    ): array {
        $isService = in_array($messageType, $this->serviceTypes, true);
        $count = count($recipients);
        $unanswered = array_fill(0, $count, new Decision($isService, Decision::UNANSWERED));
        if (($this->clock)() < $this->outage->until()) {
            return $unanswered;
        }
        // What is no text is no address: it denies itself alone.
        $texts = array_map(static fn (string $each) => preg_match('//u', $each) ? $each : '', $recipients);
        $body = ['message_type' => $messageType, 'channel' => $channel, 'recipients' => $texts];
        $read = static function (mixed $answer) use ($count): array {
            $rows = is_array($answer) ? $answer['decisions'] ?? null : null;
            if (!is_array($rows) || count($rows) !== $count) {
                throw new \UnexpectedValueException('there is not one decision per recipient');
            }
            return array_map(Decision::fromRow(...), array_values($rows));
        };
        try {
            return $this->call('POST', '/v1/decisions', $body, null, $this->limitsOfReads(), $read);
        } catch (Unavailable $error) {
            $seconds = max(self::PAUSE_SECONDS, $error->retryAfter ?? 0.0);
            $this->outage->setUntil(($this->clock)() + min($seconds, self::LONGEST_PAUSE_SECONDS));
        } catch (ApiError $error) {
            if (!$isService) {
                throw $error;
            }
        }
        if ($this->onUnanswered) {
            ($this->onUnanswered)($error, $messageType);
        }
        return $unanswered;
    }

    /** @param ?array<mixed> $body */
    private function call(
        string $method,
        string $path,
        #[\SensitiveParameter] ?array $body,
        ?string $idempotencyKey,
        Limits $limits,
        \Closure $read,
    ): mixed {
        $headers = ['Authorization' => "Bearer {$this->key}", 'Accept' => 'application/json'];
        if ($idempotencyKey !== null) {
            $headers['Idempotency-Key'] = $idempotencyKey;
        }
        $text = '';
        if ($body !== null) {
            $headers['Content-Type'] = 'application/json';
            $text = json_encode($body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
        }
        return $this->exchange->run($method, $this->base, $path, $headers, $text, $limits, $read);
    }

    private function limitsOfReads(): Limits
    {
        return $this->readLimits ?? Limits::ofReads();
    }

    /** @return array<mixed> */
    private static function structure(mixed $answer): array
    {
        return is_array($answer) ? $answer : throw new \UnexpectedValueException('no object or list');
    }

    private static function newIdempotencyKey(): string
    {
        return bin2hex(random_bytes(16));
    }
}
