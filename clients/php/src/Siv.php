<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/**
 * AES-SIV (RFC 5297) with a key of 64 bytes and without associated data.
 *
 * @internal
 */
final class Siv
{
    private const BLOCK = 16; // bytes

    private readonly string $tagKey;
    private readonly string $textKey;
    private readonly string $whole;
    private readonly string $partial;
    /** S2V of nothing yet. */
    private readonly string $first;

    public function __construct(#[\SensitiveParameter] string $key)
    {
        [$this->tagKey, $this->textKey] = str_split($key, 32);
        $zero = str_repeat("\0", self::BLOCK);
        $this->whole = self::doubled($this->lastBlock($zero));
        $this->partial = self::doubled($this->whole);
        $this->first = $this->mac($zero);
    }

    /** The tag of 16 bytes, then the ciphertext. */
    public function seal(#[\SensitiveParameter] string $plain): string
    {
        $tag = $this->mac($this->masked($plain));
        $counter = $tag;
        $counter[8] = $counter[8] & "\x7f"; // RFC 5297 2.6: what 32-bit counters would overflow into
        $counter[12] = $counter[12] & "\x7f";
        $sealed = openssl_encrypt($plain, 'aes-256-ctr', $this->textKey, OPENSSL_RAW_DATA, $counter);
        return $tag . $sealed;
    }

    /** The last step of S2V (RFC 5297 2.4): what remains is a MAC over the result. */
    private function masked(string $plain): string
    {
        if (strlen($plain) < self::BLOCK) {
            return self::padded($plain) ^ self::doubled($this->first);
        }
        return substr($plain, 0, -self::BLOCK) . (substr($plain, -self::BLOCK) ^ $this->first);
    }

    /** AES-CMAC (RFC 4493): the last block of CBC, after it was masked. */
    private function mac(string $message): string
    {
        $rest = strlen($message) % self::BLOCK;
        if ($message !== '' && $rest === 0) {
            $tail = substr($message, -self::BLOCK) ^ $this->whole;
            return $this->lastBlock(substr($message, 0, -self::BLOCK) . $tail);
        }
        $size = strlen($message) - $rest;
        $tail = self::padded(substr($message, $size)) ^ $this->partial;
        return $this->lastBlock(substr($message, 0, $size) . $tail);
    }

    private function lastBlock(string $blocks): string
    {
        $options = OPENSSL_RAW_DATA | OPENSSL_ZERO_PADDING;
        $zero = str_repeat("\0", self::BLOCK);
        $sealed = openssl_encrypt($blocks, 'aes-256-cbc', $this->tagKey, $options, $zero);
        return substr((string) $sealed, -self::BLOCK);
    }

    /** Multiplication by x in GF(2^128). */
    private static function doubled(string $block): string
    {
        $bytes = array_values((array) unpack('C*', $block));
        $result = '';
        foreach ($bytes as $at => $byte) {
            $result .= chr((($byte << 1) | (($bytes[$at + 1] ?? 0) >> 7)) & 0xff);
        }
        if ($bytes[0] & 0x80) {
            $result[self::BLOCK - 1] = chr(ord($result[self::BLOCK - 1]) ^ 0x87);
        }
        return $result;
    }

    private static function padded(string $part): string
    {
        return str_pad($part . "\x80", self::BLOCK, "\0");
    }
}
