<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/**
 * When to try again, and how long to wait before. Pure: no I/O and no clock.
 *
 * ../contract.json has the rule as examples, for every client alike. Times are in seconds.
 *
 * @internal
 */
final class Retries
{
    public const ATTEMPTS = 3;
    private const RETRIED = [408, 429, 500, 502, 503, 504];
    private const FIRST_DELAY = 0.2;

    /** Whether the same request may succeed after this response. */
    public static function isRetried(int $status): bool
    {
        return in_array($status, self::RETRIED, true);
    }

    /**
     * The seconds to wait after a failed attempt, or null to give up.
     *
     * The wait doubles, less a random part of up to half, so that many clients do not return at
     * once; it is never shorter than Retry-After. What does not fit into the time left is not
     * tried.
     *
     * @param ?int $status null: no response, or one that can't be read
     * @param ?float $retryAfter as `parseRetryAfter` returns it
     * @param int $attempt counted from 1
     * @param float $secondsLeft of the whole call
     * @param float $drawn from 0 to 1, at random
     */
    public static function delayAfter(
        ?int $status,
        ?float $retryAfter,
        int $attempt,
        float $secondsLeft,
        float $drawn,
    ): ?float {
        if ($attempt >= self::ATTEMPTS || ($status !== null && !self::isRetried($status))) {
            return null;
        }
        $backoff = self::FIRST_DELAY * 2 ** ($attempt - 1) * (1 - $drawn / 2);
        $delay = max($backoff, $retryAfter ?? 0.0);
        return $delay < $secondsLeft ? $delay : null;
    }

    /**
     * The seconds of a Retry-After header: a number, or a date (RFC 9110 10.2.3).
     *
     * @param float $now in seconds since 1970
     */
    public static function parseRetryAfter(?string $value, float $now): ?float
    {
        $text = trim($value ?? '');
        if (preg_match('/^[0-9]+$/D', $text)) {
            return (float) $text;
        }
        $at = \DateTimeImmutable::createFromFormat('D, d M Y H:i:s \G\M\T', $text, new \DateTimeZone('UTC'));
        return $at ? max(0.0, $at->getTimestamp() - $now) : null;
    }
}
