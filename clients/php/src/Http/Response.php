<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Http;

/** A response that has arrived whole. */
final class Response
{
    public function __construct(
        public readonly int $status,
        public readonly string $body,
        public readonly ?string $retryAfter = null,
    ) {
    }
}
