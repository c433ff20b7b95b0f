<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Http;

use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestFactoryInterface;
use Psr\Http\Message\StreamFactoryInterface;

/**
 * By any PSR-18 client. Its own time-outs count, since PSR-18 has none: set them to two seconds
 * for decisions. It must not follow redirects (PSR-18 forbids that it does by itself).
 */
final class Psr18Transport implements Transport
{
    public function __construct(
        private readonly ClientInterface $client,
        private readonly RequestFactoryInterface $requests,
        private readonly StreamFactoryInterface $streams,
    ) {
    }

    public function send(
        string $method,
        string $url,
        array $headers,
        string $body,
        float $seconds,
    ): Response {
        $request = $this->requests->createRequest($method, $url);
        foreach ($headers as $name => $value) {
            $request = $request->withHeader($name, $value);
        }
        if ($body !== '') {
            $request = $request->withBody($this->streams->createStream($body));
        }
        try {
            $response = $this->client->sendRequest($request);
            $received = (string) $response->getBody();
        } catch (ClientExceptionInterface | \RuntimeException $error) {
            throw new TransportError((new \ReflectionClass($error))->getShortName());
        }
        $retryAfter = $response->getHeader('Retry-After')[0] ?? null;
        return new Response($response->getStatusCode(), $received, $retryAfter);
    }
}
