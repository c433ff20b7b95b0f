<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/**
 * Makes links with the key of one sender: no request, no network, no database.
 *
 * The service's docs/links.md describes them; ../contract.json has examples of every kind. Throws
 * InvalidArgumentException for what it does not accept; no message contains the key or an address.
 */
final class LinkMinter
{
    private const KEY_PREFIX = 'pcl1';
    private const SECRET_BYTES = 32;
    private const CHANNELS = ['email' => 0, 'sms' => 1, 'phone' => 2]; // by number in tokens
    private const UUID_FLAG = 0x10;
    private const TAG_BYTES = 5;
    private const MAX_MESSAGE_ID = 64; // characters
    private const MAX_ADDRESS_BYTES = 254; // RFC 5321 4.5.3.1.3 less its angle brackets
    private const MAX_LABEL_LENGTH = 63; // in a domain this short no label is too long (RFC 1035 2.3.4)

    private const UUID = '/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/D';
    private const E164 = '/^\+[1-9][0-9]{6,14}$/D';
    private const PRINTABLE = '/^(?:[^\p{C}\p{Z}]| )*$/Du';
    private const FORBIDDEN = '/[\x00-\x20\x7f<>"(),:;\\\\]/';
    // Addresses whose canonical form is just their lower case. For others only the service can
    // compute it, so those get no mailto entry.
    private const CANONICAL = '/^[a-z0-9_!#$%&\'*\/=?^`{|}~+-]+(?:\.[a-z0-9_!#$%&\'*\/=?^`{|}~+-]+)*'
        . '@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?!(?:arpa|invalid|local|localhost|onion)$)[a-z]{2,}$/D';

    private readonly int $id;
    private readonly Siv $siv;
    private readonly string $tagKey;
    private readonly string $maskKey;
    private readonly ?string $mailDomain;
    /** @var array<string, array{int, string, string}> number, channel and base URL by topic */
    private readonly array $topics;
    private readonly \Closure $clock;

    /**
     * @param string $key as `keys link-key` of the service prints it
     * @param ?\Closure(): int $clock seconds since 1970, which each link contains
     */
    public function __construct(#[\SensitiveParameter] string $key, ?\Closure $clock = null)
    {
        [$this->id, $secret, $about] = self::parseKey($key);
        $this->siv = new Siv(self::derive($secret, 'link'));
        [$this->tagKey, $this->maskKey] = str_split(self::derive($secret, 'mail'), 32);
        $this->mailDomain = $about['mail'] ?? null;
        $topics = [];
        foreach ($about['topics'] as $number => [$name, $channel, $base]) {
            $topics[$name] = [$number, $channel, $base];
        }
        $this->topics = $topics;
        $this->clock = $clock ?? time(...);
    }

    /** @return array<string, mixed> the id only: a key in a dump is a leaked key */
    public function __debugInfo(): array
    {
        return ['id' => $this->id, 'topics' => $this->topics()];
    }

    /** @return list<string> the topics that this key makes links for */
    public function topics(): array
    {
        return array_map(strval(...), array_keys($this->topics));
    }

    /**
     * The links of one message.
     *
     * @param string $address a bare email address, or a phone number in international form
     * @param string $messageId your own: up to 64 printable characters, no personal data; a UUID
     *     keeps links short
     */
    public function mint(
        #[\SensitiveParameter] string $address,
        string $topic,
        string $messageId = '',
    ): MintedLinks {
        [$number, $channel, $base] = $this->topics[$topic] ?? throw new \InvalidArgumentException(
            'this key makes no links for that topic, but for: ' . implode(', ', $this->topics())
        );
        [$text, $isCanonical] = self::canonicalize($address, $channel);
        $sealed = $this->siv->seal($this->pack($number, $channel, $text, $messageId));
        $token = "~{$this->id}." . self::toBase64url($sealed);
        $value = "<$base/u/$token>";
        if ($isCanonical && $this->mailDomain) {
            $mailbox = $this->mailbox($number, $text);
            // HTTPS first: some clients stop at the first entry.
            $value .= ", <mailto:$mailbox@{$this->mailDomain}?subject=unsubscribe>";
        }
        return new MintedLinks("$base/u/$token", "$base/p/$token", [
            'List-Unsubscribe' => $value,
            'List-Unsubscribe-Post' => 'List-Unsubscribe=One-Click',
        ]);
    }

    /**
     * The plain content of a token: flags, number of the topic, seconds, length of the address,
     * address, message id.
     */
    private function pack(int $topic, string $channel, string $address, string $messageId): string
    {
        $flags = self::CHANNELS[$channel];
        if (preg_match(self::UUID, $messageId)) {
            $flags |= self::UUID_FLAG;
            $messageId = (string) hex2bin(str_replace('-', '', $messageId));
        } elseif (
            !preg_match(self::PRINTABLE, $messageId)
            || preg_match_all('/./su', $messageId) > self::MAX_MESSAGE_ID
        ) {
            $most = self::MAX_MESSAGE_ID;
            throw new \InvalidArgumentException("a message id has up to $most printable characters");
        }
        $head = pack('CCNC', $flags, $topic, ($this->clock)(), strlen($address));
        return $head . $address . $messageId;
    }

    /** 64 case-insensitive characters for a local part. */
    private function mailbox(int $topic, string $address): string
    {
        $head = pack('nC', $this->id, $topic);
        $digest = hash('sha256', $address, true);
        $tag = substr(hash_hmac('sha256', $head . $digest, $this->tagKey, true), 0, self::TAG_BYTES);
        $mask = hash_hmac('sha256', $head . $tag, $this->maskKey, true);
        return self::toBase32($head . $tag . ($digest ^ $mask));
    }

    /** @return array{int, string, array<string, mixed>} id, secret, and what the key is for */
    private static function parseKey(#[\SensitiveParameter] string $key): array
    {
        $parts = explode('.', trim($key));
        if (count($parts) === 4 && $parts[0] === self::KEY_PREFIX && ctype_digit($parts[1])) {
            $secret = self::fromBase64url($parts[2]);
            $about = json_decode(self::fromBase64url($parts[3]), true);
            if (strlen($secret) === self::SECRET_BYTES && is_array($about['topics'] ?? null)) {
                return [(int) $parts[1], $secret, $about];
            }
        }
        $prefix = self::KEY_PREFIX;
        throw new \InvalidArgumentException(
            "not a link key: `keys link-key` of the service prints one, $prefix..."
        );
    }

    private static function derive(#[\SensitiveParameter] string $secret, string $purpose): string
    {
        return hash_hkdf('sha256', $secret, 64, "preference_center.links of a sender: $purpose");
    }

    /** @return array{string, bool} the address as in the token; whether that is its canonical form */
    private static function canonicalize(#[\SensitiveParameter] string $address, string $channel): array
    {
        $text = (string) preg_replace('/^\s+|\s+$/Du', '', $address); // '' if it is not UTF-8
        if ($channel !== 'email') {
            if (!preg_match(self::E164, $text)) {
                throw new \InvalidArgumentException(
                    'write the phone number in international form, like +39 and digits'
                );
            }
            return [$text, false];
        }
        // The Kelvin sign is the one character outside ASCII whose lower case is within it.
        $lower = strtr($text, ["\u{212a}" => 'k'] + array_combine(range('A', 'Z'), range('a', 'z')));
        if (strlen($lower) <= self::MAX_ADDRESS_BYTES && preg_match(self::CANONICAL, $lower)) {
            $domainLength = strlen($lower) - (int) strpos($lower, '@') - 1;
            return [$lower, $domainLength <= self::MAX_LABEL_LENGTH];
        }
        $at = (int) strrpos($text, '@');
        if (
            $at < 1
            || $at === strlen($text) - 1
            || preg_match(self::FORBIDDEN, $text)
            || strlen($text) > self::MAX_ADDRESS_BYTES
        ) {
            throw new \InvalidArgumentException('give one bare email address, like name@example.com');
        }
        return [$text, false];
    }

    private static function toBase64url(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }

    /** '' for what is not the canonical encoding. */
    private static function fromBase64url(#[\SensitiveParameter] string $text): string
    {
        $bytes = (string) base64_decode(strtr($text, '-_', '+/'), true);
        return self::toBase64url($bytes) === $text ? $bytes : '';
    }

    /** Base32 in lower case (RFC 4648 6), of a multiple of 5 bytes. */
    private static function toBase32(string $bytes): string
    {
        $bits = '';
        foreach (str_split($bytes) as $byte) {
            $bits .= str_pad(decbin(ord($byte)), 8, '0', STR_PAD_LEFT);
        }
        $alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
        return implode('', array_map(
            static fn (string $five): string => $alphabet[(int) bindec($five)],
            str_split($bits, 5),
        ));
    }
}
