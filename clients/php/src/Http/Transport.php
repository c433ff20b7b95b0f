<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Http;

/** Sends one request, without following redirects: the key is for the service alone. */
interface Transport
{
    /**
     * @param array<string, string> $headers
     * @param float $seconds in which the whole response has to arrive
     * @throws TransportError
     */
    public function send(
        string $method,
        string $url,
        array $headers,
        string $body,
        float $seconds,
    ): Response;
}
