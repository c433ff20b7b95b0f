<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Http;

/** By the extension curl; the connection stays open from one request to the next. */
final class CurlTransport implements Transport
{
    private const CONNECT_SECONDS = 1.0;

    private ?\CurlHandle $curl = null;

    public function send(
        string $method,
        string $url,
        array $headers,
        string $body,
        float $seconds,
    ): Response {
        $this->curl ??= curl_init();
        $curl = $this->curl;
        curl_reset($curl);
        $retryAfter = null;
        curl_setopt_array($curl, [
            CURLOPT_URL => $url,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => [...self::lines($headers), 'Expect:'],
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_NOSIGNAL => true,
            CURLOPT_TIMEOUT_MS => max(1, (int) ($seconds * 1000)),
            CURLOPT_CONNECTTIMEOUT_MS => max(1, (int) (min($seconds, self::CONNECT_SECONDS) * 1000)),
            CURLOPT_HEADERFUNCTION => static function ($_, string $line) use (&$retryAfter): int {
                if (stripos($line, 'retry-after:') === 0) {
                    $retryAfter = trim(substr($line, strlen('retry-after:')));
                }
                return strlen($line);
            },
        ]);
        if ($body !== '') {
            curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
        }
        $received = curl_exec($curl);
        if (!is_string($received)) {
            throw new TransportError(curl_strerror(curl_errno($curl)) ?? 'failed');
        }
        return new Response(curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $received, $retryAfter);
    }

    /**
     * @param array<string, string> $headers
     * @return list<string>
     */
    private static function lines(array $headers): array
    {
        return array_map(
            static fn (string $name, string $value): string => "$name: $value",
            array_keys($headers),
            $headers,
        );
    }
}
