<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Tests;

use PreferenceCenter\Client\Client;
use PreferenceCenter\Client\Http\Response;
use PreferenceCenter\Client\Http\Transport;
use PreferenceCenter\Client\Http\TransportError;

/** Answers as a test says, and remembers what it was asked. */
final class Stub implements Transport
{
    /** @var list<array{method: string, url: string, headers: array<string, string>, raw: string, body: mixed}> */
    public array $requests = [];
    /** @var list<float> */
    public array $waits = [];
    public float $now = 1_793_521_800.0;

    /** @param list<Response|TransportError|\Closure> $answers in turn, the last one for ever */
    public function __construct(private readonly array $answers)
    {
    }

    public function send(string $method, string $url, array $headers, string $body, float $seconds): Response
    {
        $answer = $this->answers[min(count($this->requests), count($this->answers) - 1)];
        $request = compact('method', 'url', 'headers') + ['raw' => $body, 'body' => json_decode($body, true)];
        $this->requests[] = $request;
        if ($answer instanceof TransportError) {
            $this->now += $seconds;
            throw $answer;
        }
        return $answer instanceof \Closure ? $answer($request) : $answer;
    }

    /** A client that waits by moving the clock. */
    public function client(mixed ...$options): Client
    {
        return new Client(...$options + [
            'url' => 'https://preferences.example.com/',
            'key' => 'pc_shop_x',
            'transport' => $this,
            'sleep' => function (float $seconds): void {
                $this->waits[] = $seconds;
                $this->now += $seconds;
            },
            'draw' => static fn (): float => 0.0,
            'clock' => fn (): float => $this->now,
        ]);
    }

    public static function json(int $status, mixed $body, ?string $retryAfter = null): Response
    {
        return new Response($status, (string) json_encode($body), $retryAfter);
    }
}
