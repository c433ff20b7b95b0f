<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Http;

/** By PHP's own streams, with a connection per request. */
final class StreamTransport implements Transport
{
    public function send(
        string $method,
        string $url,
        array $headers,
        string $body,
        float $seconds,
    ): Response {
        $end = microtime(true) + $seconds;
        $stream = self::open($method, $url, $headers, $body, $seconds);
        try {
            $received = self::readUntil($stream, $end);
            $lines = stream_get_meta_data($stream)['wrapper_data'] ?? [];
        } finally {
            fclose($stream);
        }
        return self::toResponse(is_array($lines) ? $lines : [], $received);
    }

    /**
     * @param array<string, string> $headers
     * @return resource
     */
    private static function open(
        string $method,
        string $url,
        array $headers,
        string $body,
        float $seconds,
    ) {
        $lines = '';
        foreach ($headers as $name => $value) {
            $lines .= "$name: $value\r\n";
        }
        $context = stream_context_create(['http' => [
            'method' => $method,
            'header' => $lines . "Connection: close\r\n",
            'content' => $body,
            'timeout' => $seconds,
            'follow_location' => 0,
            'ignore_errors' => true,
            'protocol_version' => 1.1,
        ]]);
        // The warning quotes the URL, and says nothing that a time-out does not.
        $stream = @fopen($url, 'r', false, $context);
        if ($stream === false) {
            throw new TransportError("could not connect, or was not answered within $seconds s");
        }
        return $stream;
    }

    /**
     * The time-out of a stream is that of one read: here the whole body has to arrive by `$end`.
     *
     * @param resource $stream
     */
    private static function readUntil($stream, float $end): string
    {
        $received = '';
        while (!feof($stream)) {
            $left = $end - microtime(true);
            if ($left <= 0) {
                throw new TransportError('timed out');
            }
            stream_set_timeout($stream, (int) $left, (int) (($left - (int) $left) * 1e6));
            $part = fread($stream, 65536);
            if ($part === false) {
                throw new TransportError('timed out');
            }
            $received .= $part;
        }
        return $received;
    }

    /** @param array<mixed> $lines of the head */
    private static function toResponse(array $lines, string $body): Response
    {
        [$status, $retryAfter, $length] = [0, null, null];
        foreach ($lines as $line) {
            if (preg_match('#^HTTP/\S+ (\d{3})#', (string) $line, $found)) {
                [$status, $retryAfter, $length] = [(int) $found[1], null, null]; // after a 100
            } elseif (preg_match('/^retry-after:(.*)/i', (string) $line, $found)) {
                $retryAfter = trim($found[1]);
            } elseif (preg_match('/^content-length:\s*(\d+)/i', (string) $line, $found)) {
                $length = (int) $found[1];
            }
        }
        if ($length !== null && strlen($body) < $length) {
            throw new TransportError('the connection was closed within the response');
        }
        return new Response($status, $body, $retryAfter);
    }
}
