<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

use PreferenceCenter\Client\Http\Response;
use PreferenceCenter\Client\Http\Transport;
use PreferenceCenter\Client\Http\TransportError;

/**
 * One call with its attempts.
 *
 * @internal
 */
final class Exchange
{
    /**
     * @param \Closure(float): void $sleep waits so many seconds
     * @param \Closure(): float $draw from 0 to 1
     * @param \Closure(): float $clock seconds since 1970
     */
    public function __construct(
        private readonly Transport $transport,
        private readonly \Closure $sleep,
        private readonly \Closure $draw,
        private readonly \Closure $clock,
    ) {
    }

    /**
     * Send the call until it succeeds, is refused, or no time or attempt is left.
     *
     * @param array<string, string> $headers
     * @param \Closure(mixed): mixed $read makes the result of the parsed JSON, or throws
     *     UnexpectedValueException
     * @throws Unavailable|ApiError
     */
    public function run(
        string $method,
        string $base,
        string $path,
        #[\SensitiveParameter] array $headers,
        #[\SensitiveParameter] string $body,
        Limits $limits,
        \Closure $read,
    ): mixed {
        $end = ($this->clock)() + $limits->call;
        for ($attempt = 1;; $attempt++) {
            $seconds = min($limits->attempt, $end - ($this->clock)());
            [$status, $retryAfter] = [null, null];
            try {
                $response = $this->transport->send($method, $base . $path, $headers, $body, $seconds);
                if (!Retries::isRetried($response->status)) {
                    return self::interpret($response, $read);
                }
                $status = $response->status;
                $retryAfter = Retries::parseRetryAfter($response->retryAfter, ($this->clock)());
                $reason = "was answered with $status";
            } catch (TransportError $error) {
                $reason = 'has no response: ' . $error->getMessage();
            } catch (\UnexpectedValueException) {
                $reason = "was answered with what can't be read; is the URL that of the service?";
            }
            $left = $end - ($this->clock)();
            $delay = Retries::delayAfter($status, $retryAfter, $attempt, $left, ($this->draw)());
            if ($delay === null) {
                $route = strtok($path, '?');
                throw new Unavailable("$method $route $reason", $status, $retryAfter);
            }
            ($this->sleep)($delay);
        }
    }

    /** @param \Closure(mixed): mixed $read */
    private static function interpret(Response $response, \Closure $read): mixed
    {
        $parsed = json_decode($response->body, true);
        if ($response->status < 200 || $response->status > 299) {
            throw new ApiError($response->status, $parsed);
        }
        return $read($parsed);
    }
}
