<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/** Whether one message may be sent to one address at this moment. */
final class Decision
{
    /** The rule of a decision that the service did not make. */
    public const UNANSWERED = 'unanswered';

    /**
     * @param bool $allow send only if this is true
     * @param string $rule what decided, e.g. `not_opted_out`; more may be added
     * @param ?string $scope what the event that decided covers
     * @param ?string $since ISO 8601
     * @param ?string $advisory what did not decide: `bounced` for service messages
     * @param ?string $frequency how often the person wants the topic: send no more often
     */
    public function __construct(
        public readonly bool $allow,
        public readonly string $rule,
        public readonly ?string $scope = null,
        public readonly ?string $event = null,
        public readonly ?string $since = null,
        public readonly ?string $advisory = null,
        public readonly ?string $frequency = null,
    ) {
    }

    /**
     * @param mixed $row a decision of a response
     * @throws \UnexpectedValueException unless `allow` is a boolean
     */
    public static function fromRow(mixed $row): self
    {
        if (!is_array($row) || !is_bool($row['allow'] ?? null)) {
            throw new \UnexpectedValueException('not a decision');
        }
        return new self(
            $row['allow'],
            (string) ($row['rule'] ?? ''),
            $row['scope'] ?? null,
            $row['event'] ?? null,
            $row['since'] ?? null,
            $row['advisory'] ?? null,
            $row['frequency'] ?? null,
        );
    }
}
