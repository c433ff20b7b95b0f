<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/** The links of one message to one address. */
final class MintedLinks
{
    /**
     * @param string $unsubscribeUrl the page with one button; mail programs POST to it (RFC 8058)
     * @param array<string, string> $headers set them as they are: unfolded, not encoded
     */
    public function __construct(
        public readonly string $unsubscribeUrl,
        public readonly string $preferencesUrl,
        public readonly array $headers,
    ) {
    }
}
